extern crate std;

use alloc::format;
use alloc::string::String;
use alloc::vec::Vec;

use crate::name::redact;
use crate::random::Random;

#[test]
fn userinfo_is_hidden_in_every_form_of_address() {
    for (text, shown) in [
        ("postgres://u:p@h/db", "postgres://***@h/db"),
        ("postgres://u:p@ss@h/db?x=y", "postgres://***@h/db?x=y"),
        ("postgres://u:p/w?#@h", "postgres://***@h"),
        ("postgres://token@h/db", "postgres://***@h/db"),
        ("https://token@h/a/b@v4", "https://***@h/a/b@v4"),
        ("redis://:p@h:6379", "redis://***@h:6379"),
        ("amqp://u:a b c@h", "amqp://***@h"),
        ("amqp://u:a b@c d@h/v", "amqp://***@h/v"),
        ("postgres://u:x\"y@h", "postgres://***@h"),
        ("postgres://u:a<p>b@h", "postgres://***@h"),
        ("u:p@h", "***@h"),
        ("u:p\u{ff20}h", "***\u{ff20}h"),
        ("u:x'y@h", "***@h"),
        ("u:p://w@h", "***@h"),
        ("(mysql://u:p@h)", "(mysql://***@h)"),
        ("url=mysql://u:p@h", "url=mysql://***@h"),
        ("jdbc:mysql://u:p@h/db", "jdbc:mysql://***@h/db"),
        (
            "mongodb://u:p@h1:27017,h2:27017/",
            "mongodb://***@h1:27017,h2:27017/",
        ),
        ("a u:p@h and v:q@i", "a ***@h and ***@i"),
        (
            "postgres://u:p@h1, postgres://v:q@h2",
            "postgres://***@h1, postgres://***@h2",
        ),
        ("'u:p@h'", "'***@h'"),
    ] {
        assert_eq!(redact(text), shown);
    }
}

#[test]
fn values_with_the_name_of_a_credential_are_hidden() {
    for (text, shown) in [
        (
            "redis://h:6379?password=p&db=1",
            "redis://h:6379?password=***&db=1",
        ),
        ("postgres://h:1/db?password=p@q", "postgres://***"),
        (
            "host=h user=u password=p dbname=d",
            "host=h user=u password=*** dbname=d",
        ),
        (
            "host=h password=a b dbname=d",
            "host=h password=*** dbname=d",
        ),
        ("password = 'it''s' user=u", "password = '***' user=u"),
        (
            "Server=h;User Id=u;Password=a b;Database=d",
            "Server=h;User Id=u;Password=***;Database=d",
        ),
        ("Server=h;Password=a;b", "Server=h;Password=***"),
        (
            "AccountName=a;AccountKey=p==;X=y",
            "AccountName=a;AccountKey=***;X=y",
        ),
        ("Shared Access Key=p;X=y", "Shared Access Key=***;X=y"),
        ("Driver={PG};PWD={a};b};X=y", "Driver={PG};PWD=***;X=y"),
        ("https://h/?api_key=p", "https://h/?api_key=***"),
        ("https://h/?sv=1&sig=p&x=y", "https://h/?sv=1&sig=***&x=y"),
        ("X-Api-Key: p1 was refused", "X-Api-Key: *** was refused"),
        ("Authorization: Basic p q", "Authorization: ***"),
        ("sent Bearer p, refused", "sent Bearer *** refused"),
        (
            "{\"password\": \"p\", \"user\": \"u\"}",
            "{\"password\": \"***\", \"user\": \"u\"}",
        ),
        (
            "{\\\"password\\\":\\\"p\\\",\\\"x\\\":1}",
            "{\\\"password\\\":\\\"***\\\",\\\"x\\\":1}",
        ),
        (
            "Config { password: Some(\"p\"), user: \"u\" }",
            "Config { password: Some(\"***\"), user: \"u\" }",
        ),
        ("<Password>p</Password>", "<Password>***</Password>"),
        ("psql --password p -h h", "psql --password *** -h h"),
        (
            "logged in with password: hunter2",
            "logged in with password: ***",
        ),
    ] {
        assert_eq!(redact(text), shown);
    }
}

#[test]
fn what_holds_no_credential_stays() {
    for text in [
        "",
        "billing",
        "load user 7",
        "no secret: here",
        "someone@example.com",
        "mail from someone@example.com to other@example.com",
        "user@host:5432",
        "user@[::1]:5432",
        "http://host:8080 failed for someone@example.com",
        "https://host/users/someone@example.com",
        "http://[::1]:8080/, ask someone@example.com",
        "mongodb://h1:27017,h2:27017/ and someone@example.com",
        "cannot read the token: no such file",
        "Token::new(7)",
        "password",
        "user=u dbname=d",
        "2026-01-01 12:30:05 connected",
        "***@host",
    ] {
        assert_eq!(redact(text), text);
    }
}

/// Draws texts from a seed.
struct Draw(Random);

impl Draw {
    fn below(&mut self, bound: usize) -> usize {
        usize::try_from(self.0.below_or_equal(bound as u64 - 1)).expect("it is below the bound")
    }

    fn one<'a>(&mut self, of: &[&'a str]) -> &'a str {
        of[self.below(of.len())]
    }

    fn some(&mut self, of: &[&str], most: usize) -> String {
        let number = self.below(most + 1);
        (0..number).map(|_| self.one(of)).collect()
    }
}

const MARK: &str = "hunter2";

/// What may stand in a password beside its letters.
const AROUND: &[&str] = &[
    "a", "Z", "7", "@", ":", "/", "?", "#", "&", "=", ";", ",", "'", "\"", "<", ">", " ", "%40",
    "://", "\u{e4}", "\\", "{", "}", "(", ")", "-", ".", "_",
];

/// What may stand in it where the syntax around it says how it is ended and nothing is escaped.
const PLAIN: &[&str] = &["a", "Z", "7", "%40", "\u{e4}", "-", ".", "_", "+", "/", "="];

#[test]
fn no_password_of_a_generated_connection_string_survives() {
    let mut draw = Draw(Random::seeded(1));
    for _ in 0..10_000 {
        let any = format!("x{}{MARK}{}", draw.some(AROUND, 4), draw.some(AROUND, 4));
        let plain = format!("{}{MARK}{}", draw.some(PLAIN, 4), draw.some(PLAIN, 4));
        let scheme = draw.one(&["postgres", "redis", "mysql", "amqp", "mongodb+srv", "https"]);
        let host = draw.one(&[
            "h",
            "db.internal",
            "10.0.0.1:5432",
            "[::1]:5432",
            "h1:1,h2:2",
        ]);
        let path = draw.one(&["", "/", "/db", "/db?sslmode=require"]);
        let name = draw.one(&[
            "password",
            "Password",
            "PWD",
            "token",
            "access_token",
            "api_key",
            "sig",
            "secret",
        ]);
        let text = match draw.below(9) {
            0 => format!("{scheme}://u:{any}@{host}{path}"),
            1 => format!("{scheme}://:{any}@{host}{path}"),
            2 => format!("{scheme}://{plain}@{host}", plain = plain.replace('/', "")),
            3 => format!("u:{any}@{host}", any = any.replace(' ', "")),
            4 => format!("{scheme}://{host}/?x=y&{name}={plain}&z=1"),
            5 => format!("host=h {name}={plain} dbname=d"),
            6 => format!(
                "Server=h;{name}={any};Database=d",
                any = any.replace([';', '\'', '"', '{'], "")
            ),
            7 => format!("{{\"{name}\": {any:?}, \"user\": \"u\"}}"),
            _ => format!(
                "{name}='{any}' user=u",
                any = any.replace('\\', "\\\\").replace('\'', "''")
            ),
        };
        let text = match draw.below(4) {
            0 => text,
            1 => format!("cannot reach {text}"),
            2 => format!("first line\ncannot reach '{text}'\nlast line"),
            _ => format!("error: {text}: refused"),
        };
        let shown = redact(&text);
        assert!(!shown.contains(MARK), "{text} shows as {shown}");
        assert_eq!(redact(&shown), shown, "of {text}");
    }
}

#[test]
fn redacting_twice_changes_nothing_and_no_text_panics() {
    const PIECES: &[&str] = &[
        "a",
        "u",
        " ",
        " ",
        "\n",
        "@",
        ":",
        "://",
        "/",
        "?",
        "&",
        "=",
        ";",
        ",",
        "'",
        "\"",
        "\\",
        "{",
        "}",
        "(",
        ")",
        "<",
        ">",
        "--",
        "-",
        "*",
        "***",
        "password",
        "token",
        "key",
        "Bearer ",
        "authorization",
        "Some(",
        "jdbc:",
        "80",
        "\u{ff20}",
        "\u{ff1a}",
        "\u{e4}",
        "\u{1f980}",
        "[",
        "]",
        "http://",
        "postgres://u:p@h",
    ];
    let mut draw = Draw(Random::seeded(2));
    for _ in 0..50_000 {
        let text = draw.some(PIECES, 12);
        let once = redact(&text);
        assert_eq!(redact(&once), once, "of {text:?}");
    }
}

/// Ends soon; in quadratic time it would not.
#[test]
fn long_texts_take_linear_time() {
    const PIECES: &[&str] = &[
        "a",
        " ",
        "@",
        ":",
        "=",
        "://",
        "a:",
        "a@",
        "u:p@",
        "x://u:p ",
        "x://u:p",
        "(x://h/",
        "x://h/",
        "a://b ",
        "password=",
        "password=a;",
        "password=a ",
        "\"password=x ",
        "token: a ",
        "token: ",
        "token:",
        "--",
        "--a",
        "--token ",
        "bearer ",
        "password='",
        "password={",
        "password='a' ",
        "; ",
        ";a",
        "\\",
        "'",
        "\"",
        "<a>",
        "<token>",
        "]",
        "\u{ff20}",
        "x://[",
        ",x://u:p",
        "Some(",
        "key=Some(",
    ];
    let texts = PIECES.iter().flat_map(|piece| {
        let long = piece.repeat(30_000 / piece.len());
        let behind = [
            ("", ""),
            ("", "@"),
            ("", "\n@"),
            ("x://u:p", "@h"),
            ("password=", ""),
        ];
        let long: Vec<String> = behind
            .iter()
            .map(|(before, after)| format!("{before}{long}{after}"))
            .collect();
        long
    });
    for text in texts {
        let _ = redact(&text);
    }
}
