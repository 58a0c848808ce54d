-- Never changed once released: a later layout is a file of its own. SQLite gives numbers of AUTOINCREMENT once only, so that
-- a row's number never means another row later.

-- "wgwr": tells a registry from the database of another program.
PRAGMA application_id = 2003269490;

-- What the registry itself must keep; `cursor` is the key of src/page.rs.
CREATE TABLE settings (
    name TEXT PRIMARY KEY,
    value BLOB NOT NULL
) STRICT;
INSERT INTO settings VALUES ('cursor', randomblob(32));

CREATE TABLE tenants (
    id INTEGER PRIMARY KEY AUTOINCREMENT,
    name TEXT NOT NULL UNIQUE,
    created INTEGER NOT NULL
) STRICT;

CREATE TABLE apps (
    id INTEGER PRIMARY KEY AUTOINCREMENT,
    tenant INTEGER NOT NULL REFERENCES tenants (id) ON DELETE CASCADE,
    name TEXT NOT NULL,
    created INTEGER NOT NULL,
    stopped INTEGER NOT NULL DEFAULT 0,
    deleted INTEGER,
    current INTEGER REFERENCES versions (id) ON DELETE RESTRICT,
    label TEXT NOT NULL UNIQUE,
    revision INTEGER NOT NULL DEFAULT 1,
    -- Of the version that comes next: a number that was pruned is not given again.
    next_number INTEGER NOT NULL DEFAULT 1,
    UNIQUE (tenant, name)
) STRICT;
CREATE INDEX apps_current ON apps (current);
CREATE INDEX apps_deleted ON apps (deleted) WHERE deleted IS NOT NULL;

CREATE TABLE versions (
    id INTEGER PRIMARY KEY AUTOINCREMENT,
    app INTEGER NOT NULL REFERENCES apps (id) ON DELETE CASCADE,
    number INTEGER NOT NULL,
    component BLOB NOT NULL CHECK (length(component) = 32),
    size INTEGER NOT NULL CHECK (size >= 0),
    config TEXT NOT NULL,
    created INTEGER NOT NULL,
    made_by TEXT NOT NULL,
    UNIQUE (app, number)
) STRICT;
-- The collection of blobs asks by it.
CREATE INDEX versions_component ON versions (component);

-- Versions that were current before the current one, the last of them last: what a rollback goes back through.
CREATE TABLE formers (
    seq INTEGER PRIMARY KEY AUTOINCREMENT,
    app INTEGER NOT NULL REFERENCES apps (id) ON DELETE CASCADE,
    version INTEGER NOT NULL REFERENCES versions (id) ON DELETE CASCADE
) STRICT;
CREATE INDEX formers_app ON formers (app, seq);
CREATE INDEX formers_version ON formers (version);

CREATE TABLE deployments (
    seq INTEGER PRIMARY KEY AUTOINCREMENT,
    id TEXT NOT NULL UNIQUE,
    app INTEGER NOT NULL REFERENCES apps (id) ON DELETE CASCADE,
    kind TEXT NOT NULL,
    state TEXT NOT NULL,
    version INTEGER,
    problem TEXT,
    created INTEGER NOT NULL,
    finished INTEGER,
    made_by TEXT NOT NULL
) STRICT;
CREATE INDEX deployments_app ON deployments (app, seq);
CREATE INDEX deployments_unfinished ON deployments (app) WHERE finished IS NULL;

CREATE TABLE domains (
    seq INTEGER PRIMARY KEY AUTOINCREMENT,
    id TEXT NOT NULL UNIQUE,
    tenant INTEGER NOT NULL REFERENCES tenants (id) ON DELETE CASCADE,
    app INTEGER NOT NULL REFERENCES apps (id) ON DELETE CASCADE,
    host TEXT NOT NULL,
    path TEXT NOT NULL,
    challenge TEXT NOT NULL,
    verified INTEGER,
    created INTEGER NOT NULL,
    UNIQUE (app, host, path)
) STRICT;
CREATE INDEX domains_tenant ON domains (tenant);
-- Of those who claim a place one has it.
CREATE UNIQUE INDEX domains_verified ON domains (host, path) WHERE verified IS NOT NULL;

CREATE TABLE tokens (
    seq INTEGER PRIMARY KEY AUTOINCREMENT,
    id TEXT NOT NULL UNIQUE,
    tenant INTEGER REFERENCES tenants (id) ON DELETE CASCADE,
    name TEXT NOT NULL,
    right TEXT NOT NULL,
    secret BLOB NOT NULL UNIQUE CHECK (length(secret) = 32),
    created INTEGER NOT NULL,
    expires INTEGER,
    revoked INTEGER,
    last_used INTEGER
) STRICT;
CREATE INDEX tokens_tenant ON tokens (tenant, seq);

-- Answers that are given again to who asks again with the same key.
CREATE TABLE answers (
    token TEXT NOT NULL REFERENCES tokens (id) ON DELETE CASCADE,
    key TEXT NOT NULL,
    request BLOB NOT NULL CHECK (length(request) = 32),
    status INTEGER NOT NULL,
    body BLOB NOT NULL,
    created INTEGER NOT NULL,
    PRIMARY KEY (token, key)
) STRICT, WITHOUT ROWID;
CREATE INDEX answers_created ON answers (created);
