//! The notes of `flask` in Chromium: what no test knows of pages and cookies, a browser does.

use serde_json::json;
use wasm_gw_tests::browser::Browser;

use super::flask;

#[tokio::test]
async fn chromium_shows_the_notes_and_keeps_them_between_requests() {
    let server = flask::serve().await;
    let mut browser = Browser::start().await;
    browser.open(&format!("http://{}/", server.address)).await;
    assert_eq!(browser.eval("document.title").await, "Notes");
    // 40rem, by the stylesheet.
    let width = browser.eval("getComputedStyle(document.body).maxWidth");
    assert_eq!(width.await, "640px");

    for title in ["one <b>", "two"] {
        browser.click("nav a[href='/new']").await;
        browser.shows("location.pathname === '/new'").await;
        browser.write("[name=title]", title).await;
        browser.write("[name=text]", "typed\nin two lines").await;
        browser.click("form button").await;
        let there = format!(
            "document.querySelector('h2')?.textContent === {}",
            json!(title)
        );
        browser.shows(&there).await;
        let said = browser.eval("document.querySelector('.flash').textContent");
        assert_eq!(said.await, "Noted.");
    }
    // The cookie is none of a script's business.
    assert_eq!(browser.eval("document.cookie").await, "");
    browser
        .open(&format!("http://{}/?again", server.address))
        .await;
    let titles = "[...document.querySelectorAll('h2')].map(it => it.textContent)";
    assert_eq!(browser.eval(titles).await, json!(["two", "one <b>"]));

    browser.click("article form button").await;
    browser
        .shows("document.querySelector('.flash')?.textContent === 'Deleted.'")
        .await;
    assert_eq!(browser.eval(titles).await, json!(["one <b>"]));
}
