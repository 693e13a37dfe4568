use rstest::rstest;

use super::*;

/// The output of uvicorn when a module that it imports does not compile; the kubelet keeps the last 2,048 bytes alone.
const SYNTAX: &str = r#"
  File "<frozen importlib._bootstrap>", line 935, in _load_unlocked
  File "<frozen importlib._bootstrap_external>", line 1022, in exec_module
  File "/srv/shop_backend/app.py", line 3
    import x y
             ^
SyntaxError: invalid syntax
"#;

const MODULE: &str = r#"Traceback (most recent call last):
  File "/usr/local/bin/uvicorn", line 8, in <module>
    sys.exit(main())
             ^^^^^^
  File "/srv/shop_backend/app.py", line 12, in <module>
    import nothing
ModuleNotFoundError: No module named 'nothing'
"#;

const ALEMBIC: &str = r#"INFO:     waiting for db:5432/shop: ConnectionRefusedError: [Errno 111] Connection refused
Traceback (most recent call last):
  File "/usr/local/lib/python3.13/site-packages/sqlalchemy/engine/base.py", line 1963, in _exec_single_context
    self.dialect.do_execute(
asyncpg.exceptions.UndefinedTableError: relation "nowhere" does not exist

The above exception was the direct cause of the following exception:

Traceback (most recent call last):
  File "/srv/shop_backend/migrate.py", line 150, in <module>
    main()
  File "/usr/local/lib/python3.13/site-packages/sqlalchemy/dialects/postgresql/asyncpg.py", line 794, in _handle_exception
    raise translated_error from error
sqlalchemy.exc.ProgrammingError: (sqlalchemy.dialects.postgresql.asyncpg.ProgrammingError) <class 'asyncpg.exceptions.UndefinedTableError'>: relation "nowhere" does not exist
[SQL: ALTER TABLE nowhere ADD COLUMN x INTEGER]
(Background on this error at: https://sqlalche.me/e/20/f405)
"#;

const GROUP: &str = r#"  + Exception Group Traceback (most recent call last):
  |   File "/srv/a.py", line 3, in <module>
  |     asyncio.run(main())
  | ExceptionGroup: unhandled errors in a TaskGroup (1 sub-exception)
  +-+---------------- 1 ----------------
    | Traceback (most recent call last):
    |   File "/srv/a.py", line 9, in one
    |     raise ValueError("no")
    | ValueError: no
    +------------------------------------
"#;

const LIFESPAN: &str = r#"INFO:     Started server process [1]
INFO:     Waiting for application startup.
ERROR:    Traceback (most recent call last):
  File "/usr/local/lib/python3.13/site-packages/starlette/routing.py", line 694, in lifespan
    async with self.lifespan_context(app) as maybe_state:
RuntimeError: the bucket is not ours

ERROR:    Application startup failed. Exiting.
"#;

const VALIDATION: &str = r#"Traceback (most recent call last):
  File "/srv/settings.py", line 4, in <module>
    Settings()
pydantic_core._pydantic_core.ValidationError: 1 validation error for Settings
db_host
  Field required [type=missing, input_value={}, input_type=dict]
    For further information visit https://errors.pydantic.dev/2.12/v/missing
"#;

const NO_HOME: &str = "Python path configuration:
  PYTHONHOME = '/nowhere'
Fatal Python error: init_fs_encoding: failed to get the Python codec of the filesystem encoding
Python runtime state: core initialized
ModuleNotFoundError: No module named 'encodings'

Current thread 0x00007f2a (most recent call first):
  <no Python frame>
";

const POSTGRES: &str = "2026-01-02 03:04:05.678 UTC [1] LOG:  starting PostgreSQL 17.2
2026-01-02 03:04:05.690 UTC [1] FATAL:  data directory \"/data\" has wrong ownership
2026-01-02 03:04:05.690 UTC [1] HINT:  The server must be started by the user that owns the data directory.
2026-01-02 03:04:05.700 UTC [1] LOG:  database system is shut down
";

#[rstest]
#[case::a_syntax_error_whose_traceback_is_cut_off(SYNTAX, "SyntaxError: invalid syntax")]
#[case::a_module_that_is_missing(MODULE, "ModuleNotFoundError: No module named 'nothing'")]
#[case::a_statement_that_fails(
    ALEMBIC,
    "sqlalchemy.exc.ProgrammingError: (sqlalchemy.dialects.postgresql.asyncpg.ProgrammingError) <class 'asyncpg.exceptions.UndefinedTableError'>: relation \"nowhere\" does not exist"
)]
#[case::an_exception_group(GROUP, "ValueError: no")]
#[case::a_traceback_that_was_logged(LIFESPAN, "RuntimeError: the bucket is not ours")]
#[case::a_validation_error(
    VALIDATION,
    "pydantic_core._pydantic_core.ValidationError: 1 validation error for Settings: db_host: Field required [type=missing, input_value={}, input_type=dict]"
)]
#[case::an_interpreter_that_does_not_start(NO_HOME, "ModuleNotFoundError: No module named 'encodings'")]
#[case::an_exception_without_a_message(
    "Traceback (most recent call last):\n  File \"a.py\", line 1, in <module>\n    main()\nKeyboardInterrupt\n",
    "KeyboardInterrupt"
)]
#[case::uvicorn(
    "INFO:     Uvicorn running\nERROR:    Error loading ASGI app. Could not import module \"a.b\".\n",
    "ERROR: Error loading ASGI app. Could not import module \"a.b\"."
)]
#[case::a_bind_that_fails(
    "ERROR:    [Errno 98] error while attempting to bind on address ('0.0.0.0', 8000): address already in use\nINFO:     Waiting for application shutdown.\n",
    "ERROR: [Errno 98] error while attempting to bind on address ('0.0.0.0', 8000): address already in use"
)]
#[case::nginx(
    "2026/01/02 03:04:05 [warn] 1#1: x\n2026/01/02 03:04:05 [emerg] 1#1: unknown directive \"servr\" in /etc/nginx/nginx.conf:3\nnginx: configuration file /etc/nginx/nginx.conf test failed\n",
    "[emerg] unknown directive \"servr\" in /etc/nginx/nginx.conf:3"
)]
#[case::postgres(POSTGRES, "FATAL: data directory \"/data\" has wrong ownership")]
#[case::json(
    "{\"level\":\"info\",\"message\":\"up\"}\n{\"level\":\"error\",\"message\":\"no store\",\"exc_info\":\"Traceback (most recent call last):\\n  File \\\"a.py\\\", line 1, in b\\nValueError: no\"}\n{\"level\":\"info\",\"message\":\"bye\"}\n",
    "no store: ValueError: no"
)]
#[case::one_line("shop-backend: SHOP_DB_HOST is not set\n", "shop-backend: SHOP_DB_HOST is not set")]
#[case::no_shape("one\ntwo\n\n", "two")]
fn the_line_that_says_why(#[case] words: &str, #[case] line: &str) {
    assert_eq!(telling_line(words).as_deref(), Some(line));
}

#[rstest]
#[case::empty("")]
#[case::blank(" \n\t\n")]
fn without_a_word_there_is_none(#[case] words: &str) {
    assert_eq!(telling_line(words), None);
}

#[test]
fn a_long_line_is_cut_between_characters() {
    let found = telling_line(&"é".repeat(400)).unwrap();
    assert_eq!(found, format!("{}…", "é".repeat(300)));
}

/// Redaction would not find half a secret, which would be printed.
#[test]
fn a_long_line_is_cut_between_words() {
    let secret = "s".repeat(64);
    let text = format!("{} {secret} more", "word ".repeat(52).trim_end());
    assert_eq!(brief(&text), format!("{}…", "word ".repeat(52).trim_end()));
    assert_eq!(whole_lines("short\nand whole"), "short\nand whole");
    assert_eq!(whole_lines(&format!("{}\nwhole", "x".repeat(2048))), "whole");
}
