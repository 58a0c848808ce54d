//! The `.deb`: made by `dpkg-deb` of a folder and a few rendered files, then installed and tried.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use anyhow::{Context, Result, bail, ensure};

use super::binary::Binary;
use super::service::{Service, command_of};
use super::tree::{Tree, read};
use super::{Release, third_party};
use crate::shell::{output, run};
use crate::tools;

const UNIT: &str = "usr/lib/systemd/system/wasm-gw.service";
const CONFIG: &str = "etc/wasm-gw/wasm-gw.toml";
/// Its lines that a user changes.
pub(crate) const COMPONENT: &str = "# component = \"/srv/wasm-gw/app.wasm\"";
const LISTEN: &str = "listen = [\"127.0.0.1:8080\"]";

/// Whether this machine has what makes it. Whoever has another system is told, and goes on; CI is not to be without it.
pub(crate) fn is_possible() -> Result<bool> {
    let missing = || -> Vec<&str> {
        let tools = ["dpkg", "dpkg-deb", "dpkg-shlibdeps", "systemd-sysusers"];
        tools.into_iter().filter(|tool| !exists(tool)).collect()
    };
    if missing().is_empty() {
        return Ok(true);
    }
    if tools::is_debian() {
        tools::ensure_debian(&["dpkg-dev", "systemd"])?;
        return Ok(true);
    }
    let missing = missing().join(", ");
    if std::env::var_os("CI").is_some() {
        bail!("no {missing} here: apt-get install dpkg-dev systemd");
    }
    eprintln!(
        "\n== NO Debian package: this machine has no {missing}; on Debian: apt-get install dpkg-dev systemd"
    );
    Ok(false)
}

/// Whether there is such a tool: all of those asked for here tell their version.
pub(crate) fn exists(tool: &str) -> bool {
    let mut command = Command::new(tool);
    command.arg("--version");
    command.stdout(Stdio::null()).stderr(Stdio::null());
    command.status().is_ok_and(|status| status.success())
}

pub(crate) fn make(release: &Release, binary: &Binary) -> Result<PathBuf> {
    let tree = Tree(release.fresh("debian")?);
    let doc = |name: &str| format!("usr/share/doc/wasm-gw/{name}");
    tree.program(&binary.path, "usr/bin/wasm-gw")?;
    tree.copy("packaging/wasm-gw.service", UNIT)?;
    let sysusers = "usr/lib/sysusers.d/wasm-gw.conf";
    tree.copy("packaging/wasm-gw.sysusers", sysusers)?;
    tree.copy("packaging/wasm-gw.toml", CONFIG)?;
    for (page, text) in &binary.manuals {
        tree.gzip(&format!("usr/share/man/man1/{page}"), text)?;
    }
    let completions = &binary.completions;
    for (path, text) in [
        ("bash-completion/completions/wasm-gw", &completions.bash),
        ("fish/vendor_completions.d/wasm-gw.fish", &completions.fish),
        ("zsh/vendor-completions/_wasm-gw", &completions.zsh),
    ] {
        tree.write(&format!("usr/share/{path}"), text)?;
    }
    for page in ["operating.md", "checking.md", "protocol.md", "security.md"] {
        tree.copy(&format!("docs/{page}"), &doc(page))?;
    }
    tree.copy("docs/wasm-gw.schema.json", &doc("wasm-gw.schema.json"))?;
    tree.write(&doc("copyright"), copyright()?)?;
    tree.gzip(&doc("THIRD-PARTY-LICENCES"), &third_party::licences()?)?;
    tree.gzip(&doc("changelog"), &read("CHANGELOG.md")?)?;
    let version = version(release);
    tree.gzip(&doc("changelog.Debian"), &changelog(release, &version)?)?;

    let architecture = output(Command::new("dpkg").arg("--print-architecture"))?;
    let architecture = architecture.trim();
    let size = output(
        Command::new("du")
            .args(["-ks", "--apparent-size"])
            .arg(&tree.0),
    )?;
    let size = size.split_whitespace().next().context("du says a size")?;
    let control = read("packaging/debian/control")?
        .replace("{version}", &version)
        .replace("{architecture}", architecture)
        .replace("{maintainer}", &maintainer())
        .replace("{size}", size)
        .replace("{libraries}", &libraries(release, &binary.path)?);
    tree.write("DEBIAN/control", control)?;
    tree.copy("packaging/debian/conffiles", "DEBIAN/conffiles")?;
    for script in ["postinst", "prerm", "postrm"] {
        let from = format!("packaging/debian/{script}");
        tree.script(&from, &format!("DEBIAN/{script}"))?;
    }
    let name = format!("wasm-gw_{version}_{architecture}.deb");
    let package = release.folder.join(name);
    run(Command::new("dpkg-deb")
        .env("SOURCE_DATE_EPOCH", &release.time)
        .args(["--root-owner-group", "-Zxz"])
        .arg(if release.quick { "-z0" } else { "-z9" })
        .arg("--build")
        .arg(&tree.0)
        .arg(&package)
        .stdout(Stdio::null()))?;
    Ok(package)
}

/// As Debian orders them: a candidate is before its release.
fn version(release: &Release) -> String {
    format!("{}-1", release.version.replace('-', "~"))
}

/// Who is asked about the package, as Debian's tools are told it.
fn maintainer() -> String {
    let set = |name| std::env::var(name).ok().filter(|value| !value.is_empty());
    let name = set("DEBFULLNAME").unwrap_or_else(|| "The wasm-gw contributors".to_owned());
    let address = set("DEBEMAIL").unwrap_or_else(|| "wasm-gw@packages.invalid".to_owned());
    format!("{name} <{address}>")
}

fn changelog(release: &Release, version: &str) -> Result<String> {
    let date = output(Command::new("date").env("LC_ALL", "C").args([
        "--utc",
        "--rfc-email",
        "--date",
        &format!("@{}", release.time),
    ]))?;
    Ok(format!(
        "wasm-gw ({version}) unstable; urgency=medium\n\n  * Version {}; see changelog.gz.\n\n -- {}  {date}",
        release.version,
        maintainer()
    ))
}

fn copyright() -> Result<String> {
    let mit = read("LICENSE-MIT")?;
    let (holder, terms) = mit
        .split_once("Permission is hereby")
        .context("LICENSE-MIT begins with its holder")?;
    let holder = holder
        .lines()
        .find_map(|line| line.strip_prefix("Copyright (c) "));
    let mut text = String::new();
    for line in format!("Permission is hereby{terms}").trim().lines() {
        // An empty line is a dot, in such a file.
        text.push_str(&format!(" {}\n", if line.is_empty() { "." } else { line }));
    }
    Ok(read("packaging/debian/copyright")?
        .replace("{holder}", holder.context("LICENSE-MIT names its holder")?)
        .replace("{mit}", text.trim_end()))
}

/// The packages that the program needs, with the versions that have what it uses.
fn libraries(release: &Release, binary: &Path) -> Result<String> {
    let folder = release.fresh("shlibdeps")?;
    fs::create_dir(folder.join("debian"))?;
    fs::write(folder.join("debian/control"), "Source: wasm-gw\n")?;
    let said = output(
        Command::new("dpkg-shlibdeps")
            .current_dir(&folder)
            .arg("-O")
            .arg(format!("-e{}", binary.display()))
            // It would have the program where it is installed.
            .stderr(Stdio::null()),
    )?;
    let libraries = said.trim().strip_prefix("shlibs:Depends=");
    Ok(libraries
        .context("dpkg-shlibdeps says no libraries")?
        .to_owned())
}

/// Installs it, serves an app as its unit says, and removes it: in a folder, as the root of a system of its own.
pub(crate) fn try_out(release: &Release, package: &Path, app: &Path) -> Result<()> {
    let root = release.fresh("installed")?;
    if output(Command::new("id").arg("-u"))?.trim() != "0" {
        eprintln!("   NOT installed, since this is not root: unpacked and served only");
        run(Command::new("dpkg-deb")
            .arg("--extract")
            .arg(package)
            .arg(&root))?;
        return serve(&root, app);
    }
    for folder in ["info", "updates", "triggers"] {
        fs::create_dir_all(root.join("var/lib/dpkg").join(folder))?;
    }
    fs::write(root.join("var/lib/dpkg/status"), "")?;
    // What it depends on is this system's; its scripts are told by DPKG_ROOT where they are.
    let dpkg = || {
        let mut dpkg = Command::new("dpkg");
        dpkg.arg(format!("--root={}", root.display()))
            .args(["--force-script-chrootless", "--force-depends"])
            .arg("--log=/dev/null");
        dpkg
    };
    unless_it_fails(dpkg().arg("--install").arg(package))?;
    let query = output(
        Command::new("dpkg-query")
            .arg(format!("--admindir={}/var/lib/dpkg", root.display()))
            .args(["--show", "--showformat=${Status};${Conffiles}", "wasm-gw"]),
    )?;
    ensure!(
        query.starts_with("install ok installed;") && query.contains(CONFIG),
        "dpkg says of it: {query}"
    );
    let users = fs::read_to_string(root.join("etc/passwd"))?;
    ensure!(
        users.lines().any(|line| line.starts_with("wasm-gw:")),
        "the service has no user"
    );
    verify(&root)?;
    serve(&root, app)?;
    unless_it_fails(dpkg().arg("--purge").arg("wasm-gw"))?;
    for path in ["usr/bin/wasm-gw", "etc/wasm-gw", "var/cache/wasm-gw", UNIT] {
        ensure!(!root.join(path).exists(), "/{path} is left behind");
    }
    eprintln!("   it was installed, and removed with nothing left behind");
    Ok(())
}

/// Runs it; what it says is only said if it fails.
fn unless_it_fails(command: &mut Command) -> Result<()> {
    let ended = command.output()?;
    ensure!(
        ended.status.success(),
        "{command:?}: {}\n{}{}",
        ended.status,
        String::from_utf8_lossy(&ended.stdout),
        String::from_utf8_lossy(&ended.stderr)
    );
    Ok(())
}

/// What systemd thinks of the unit, if it is here.
fn verify(root: &Path) -> Result<()> {
    if !exists("systemd-analyze") {
        eprintln!("   NOT looked at by systemd-analyze, which is not on this machine");
        return Ok(());
    }
    // It looks for the programs, too. That of `reload` is another package's.
    let unit = fs::read_to_string(root.join(UNIT))?;
    let program = root.join("usr/bin/wasm-gw").display().to_string();
    let folder = root.join("tmp");
    fs::create_dir_all(&folder)?;
    let moved = folder.join("wasm-gw.service");
    fs::write(&moved, unit.replace("/usr/bin/wasm-gw", &program))?;
    let output = Command::new("systemd-analyze")
        .args(["verify", "--man=no"])
        .arg(&moved)
        .output()?;
    let said = String::from_utf8_lossy(&output.stderr);
    // It also reads units of this machine, and may have something to say of these.
    let of_ours: Vec<&str> = said
        .lines()
        .filter(|line| line.contains("wasm-gw"))
        .collect();
    ensure!(
        of_ours.is_empty(),
        "systemd-analyze: {}",
        of_ours.join("\n")
    );
    fs::remove_dir_all(folder)?;
    Ok(())
}

/// First as it is installed, with nothing to serve; then with an app.
fn serve(root: &Path, app: &Path) -> Result<()> {
    let unit = fs::read_to_string(root.join(UNIT))?;
    let refused = command_of(&unit, root)?.output()?;
    let said = String::from_utf8_lossy(&refused.stderr);
    ensure!(
        refused.status.code() == Some(2) && said.contains("nothing to serve"),
        "with nothing to serve it ends with {}: {said}",
        refused.status
    );
    let config = fs::read_to_string(root.join(CONFIG))?;
    ensure!(
        config.contains(COMPONENT) && config.contains(LISTEN),
        "{CONFIG} has not the lines that are to be changed"
    );
    let config = config
        .replace(
            COMPONENT,
            &format!("component = {:?}", app.display().to_string()),
        )
        .replace(LISTEN, "listen = [\"127.0.0.1:0\"]");
    fs::write(root.join(CONFIG), config)?;
    Service::start(command_of(&unit, root)?)?.answers_reloads_and_stops()?;
    let cache = root.join("var/cache/wasm-gw");
    ensure!(
        cache.is_dir(),
        "no compiled code is kept in {}",
        cache.display()
    );
    Ok(())
}
