# What is done on the system that `clean.rs` makes, as its root. Each line that fails ends it.
set -eEu -o pipefail
exec > /try/log 2>&1
trap 'echo "FAILED: line $LINENO: $BASH_COMMAND"; journalctl --no-pager --unit wasm-gw | tail -n 30' ERR

property() {
    systemctl show --property "$1" --value wasm-gw
}

# The status of an answer.
ask() {
    exec 3<> /dev/tcp/127.0.0.1/8080
    printf 'GET / HTTP/1.1\r\nHost: test\r\nConnection: close\r\n\r\n' >&3
    answer=$(cat <&3)
    exec 3>&-
    [[ $answer == "HTTP/1.1 200 OK"*"hello, world" ]]
}

said() {
    journalctl --no-pager --output cat --unit wasm-gw | grep --count -- "$1" || true
}

echo "   systemd $(systemctl --version | head -n 1), Linux $(uname -r)"
wasm-gw --version

# Nothing is served before somebody said what.
[[ $(systemctl is-enabled wasm-gw || true) == disabled ]]
! systemctl start wasm-gw 2> /dev/null
[[ $(property ExecMainStatus) == 2 && $(property NRestarts) == 0 ]]
[[ $(said 'nothing to serve') == 1 ]]
echo "   with nothing to serve it ends with 2, says so, and is not started again"

install -D --mode 644 /try/app.wasm /srv/wasm-gw/app.wasm
sed --in-place 's|^{COMPONENT}|component = "/srv/wasm-gw/app.wasm"|' /etc/wasm-gw/wasm-gw.toml
systemctl reset-failed wasm-gw
systemctl enable --now --quiet wasm-gw
ask
[[ $(property ActiveState) == active && $(property StatusText) == serving ]]
[[ $(ps --no-headers --format user --pid "$(property MainPID)") == wasm-gw ]]
[[ $(stat --format '%U %a' /var/cache/wasm-gw) == "wasm-gw 700" ]]
journalctl --no-pager --output cat --unit wasm-gw | grep '^  memory'
echo "   it is started, ready, and answers, as the user wasm-gw"

systemctl reload wasm-gw
[[ $(said 'a new version of app is served') == 1 ]]
ask
echo "   a reload is over when the new version is served"

systemctl restart wasm-gw
[[ $(said 'compiled code from the cache') == 1 ]]
ask
echo "   compiled code is kept for the next start"

process=$(property MainPID)
kill -KILL "$process"
for _ in {1..100}; do
    [[ $(property NRestarts) == 1 && $(property ActiveState) == active ]] && break
    sleep 0.1
done
ask
[[ $(property MainPID) != "$process" ]]
echo "   killed, it is back"

process=$(property MainPID)
dpkg --install /wasm-gw_*.deb > /try/upgrade 2>&1
[[ $(property ActiveState) == active && $(property MainPID) != "$process" ]]
ask
echo "   installed again, the new one takes over, with the configuration as it was"

systemctl stop wasm-gw
[[ $(property Result) == success && $(property ExecMainStatus) == 0 ]]
systemctl start wasm-gw
echo "   $(systemd-analyze security --no-pager wasm-gw | tail -n 1)"

apt-get purge --yes --quiet wasm-gw > /try/purge 2>&1
! ask 2> /dev/null
[[ ! -L /etc/systemd/system/multi-user.target.wants/wasm-gw.service ]]
for left in /usr/bin/wasm-gw /etc/wasm-gw /var/cache/wasm-gw /var/log/wasm-gw /var/lib/wasm-gw; do
    [[ ! -e $left ]]
done
[[ -e /srv/wasm-gw/app.wasm ]]
echo "   purged, it is stopped and leaves nothing behind"
echo "all of it went well"
