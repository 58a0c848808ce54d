//! What the applications are asked for. All of it is answered alike by every server.

use crate::bench::speed::work::{Answer, App, Work};
use crate::kit::http::Request;

const HELLO: &str = "hello, world!\n";
/// How the page of a template ends, which none has that failed in its middle.
const ROWS: &str = "<p>50 rows</p>";

/// In the order of the report. The first of each application has its name: it is the one that is warmed.
pub(super) fn all() -> Vec<Work> {
    let work = |name, what, app, path, answer| Work {
        name,
        what,
        app: App::Python(app),
        request: Request::get(path),
        answer,
        connections: &[8, 64],
        stretch: 1,
        is_alone: false,
        moves: 0,
    };
    let hello = |name, what| work(name, what, name, "/", Answer::Text(HELLO));
    let cold = |name, app| {
        let what = "the same by another route, which was not warmed";
        work(name, what, app, "/cold/world", Answer::Text(HELLO))
    };
    let page = |name, app| {
        let what = "a page of 50 rows from two templates, which was not warmed";
        work(name, what, app, "/page", Answer::Page(ROWS))
    };
    vec![
        hello("bare", "14 bytes from a WSGI function, without any package"),
        cold("bare-cold", "bare"),
        hello("flask", "14 bytes from Flask"),
        cold("flask-cold", "flask"),
        page("flask-page", "flask"),
        hello(
            "django",
            "14 bytes from Django with the middleware of a new project, and no database",
        ),
        cold("django-cold", "django"),
        page("django-page", "django"),
    ]
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::bench::python::apps::APPS;

    #[test]
    fn each_application_has_a_work_of_its_name_and_one_that_is_not_warmed() {
        for app in APPS {
            let all = all();
            let of_app = |name: &str| {
                all.iter()
                    .find(|work| work.name == name && work.app == App::Python(app.name))
            };
            assert_eq!(of_app(app.name).unwrap().request.path, "/");
            let cold = of_app(&format!("{}-cold", app.name)).unwrap();
            assert!(cold.request.path.starts_with("/cold/"));
        }
    }
}
