//! Credentials in text, found so that they can be left out.
//!
//! Two scanners read the same text, and what either of them finds is hidden:
//!
//! - [`Userinfo`] finds what stands before the `@` of an address: `scheme://user:password@host`,
//!   `user:password@host`, `scheme://token@host`.
//! - [`Values`] finds what stands behind the name of a credential: `password=..`, `"token": ".."`, `Bearer ..`.
//!
//! Both see the original text, so that one never judges what the other has cut. Where it is not clear how far a
//! credential reaches, it reaches further: a text that lost a word can still be read, a password that was logged
//! must be changed. Each scanner goes forward only, and looks back or ahead within one word, one line that it then
//! leaves behind, or a fixed number of bytes: the time is linear in the length of the text.

use alloc::string::String;
use core::ops::Range;

const HIDDEN: &str = "***";

/// Schemes of addresses that are told apart within a line.
const SCHEMES: [&str; 28] = [
    "amqp",
    "amqps",
    "clickhouse",
    "ftp",
    "grpc",
    "http",
    "https",
    "kafka",
    "ldap",
    "ldaps",
    "mariadb",
    "memcached",
    "mongodb",
    "mongodb+srv",
    "mqtt",
    "mysql",
    "nats",
    "postgres",
    "postgresql",
    "redis",
    "rediss",
    "sftp",
    "smtp",
    "smtps",
    "ssh",
    "tcp",
    "ws",
    "wss",
];

/// How far ahead of a value the end of an unquoted password with spaces in it is sought.
const LOOKAHEAD: usize = 256;

/// Returns the text with `***` in place of what the scanners find, or nothing if they find nothing.
pub(crate) fn hide(text: &str) -> Option<String> {
    if is_plain(text) {
        return None;
    }
    let mut redacted = String::new();
    let mut shown_to = 0;
    for secret in secrets(text) {
        redacted.push_str(&text[shown_to..secret.start]);
        redacted.push_str(HIDDEN);
        shown_to = secret.end;
    }
    (shown_to > 0).then(|| {
        redacted.push_str(&text[shown_to..]);
        redacted
    })
}

/// Returns `true` if nothing in the text could introduce a credential, as in most names.
fn is_plain(text: &str) -> bool {
    let (mut before, mut is_ascii) = (0, true);
    let introduces_none = text.bytes().all(|byte| {
        let is_second_dash = (before, byte) == (b'-', b'-');
        before = byte;
        is_ascii &= byte.is_ascii();
        !is_second_dash
            && !matches!(
                byte,
                b'\t'..=b'\r' | b' ' | b'@' | b'=' | b':' | b'>' | 0xef
            )
    });
    introduces_none && (is_ascii || !text.contains(char::is_whitespace))
}

/// Returns the parts of the text that are to be hidden, in order and apart from each other.
fn secrets(text: &str) -> Secrets<'_> {
    let (mut userinfo, mut values) = (Userinfo::new(text), Values::new(text));
    Secrets {
        ahead: [userinfo.next(), values.next()],
        userinfo,
        values,
    }
}

/// What both scanners find, joined where it overlaps.
struct Secrets<'a> {
    userinfo: Userinfo<'a>,
    values: Values<'a>,
    ahead: [Option<Range<usize>>; 2],
}

impl Secrets<'_> {
    /// Takes the finding that begins first, if it begins no later than `limit`.
    fn take_first(&mut self, limit: usize) -> Option<Range<usize>> {
        let [user, value] = &self.ahead;
        let starts =
            [user, value].map(|ahead| ahead.as_ref().map_or(usize::MAX, |found| found.start));
        let which = usize::from(starts[1] < starts[0]);
        if starts[which] > limit {
            return None;
        }
        let next = match which {
            0 => self.userinfo.next(),
            _ => self.values.next(),
        };
        core::mem::replace(&mut self.ahead[which], next)
    }
}

impl Iterator for Secrets<'_> {
    type Item = Range<usize>;

    fn next(&mut self) -> Option<Range<usize>> {
        let mut found = self.take_first(usize::MAX - 1)?;
        while let Some(more) = self.take_first(found.end) {
            found.end = found.end.max(more.end);
        }
        Some(found)
    }
}

/// An `@`, in the forms that one is typed in.
const fn is_at(c: char) -> bool {
    matches!(c, '@' | '\u{ff20}' | '\u{fe6b}')
}

const fn is_colon(c: char) -> bool {
    matches!(c, ':' | '\u{ff1a}')
}

const fn is_quote(c: char) -> bool {
    matches!(c, '"' | '\'' | '`')
}

const fn is_opening(c: char) -> bool {
    is_quote(c) || matches!(c, '(' | '[' | '{' | '<')
}

/// Returns `true` for letters and digits, by the blocks of Unicode that hold the scripts, since the tables of the standard
/// library take 2 KiB of flash. Blocks of dashes, quotes and symbols are left out: a secret may follow them.
const fn is_of_prose(c: char) -> bool {
    c.is_ascii_alphanumeric() || matches!(c, '\u{c0}'..='\u{1fff}' | '\u{3040}'..='\u{d7ff}')
}

const fn is_of_scheme(c: char) -> bool {
    c.is_ascii_alphanumeric() || matches!(c, '+' | '-' | '.')
}

const fn is_of_name(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'-' | b'.')
}

/// Where something stands next: it is sought once, however often it is asked for from within the same stretch.
struct Next(Range<usize>);

impl Next {
    const UNKNOWN: Self = Self(0..0);

    fn from(&mut self, from: usize, find: impl FnOnce() -> usize) -> usize {
        if from < self.0.start || from >= self.0.end {
            self.0 = from..find();
        }
        self.0.end
    }
}

/// Finds what stands before the `@` of addresses.
struct Userinfo<'a> {
    text: &'a str,
    position: usize,
    at: Next,
    space: Next,
    line_end: Next,
    address: Next,
    /// The latest run without white space, and the last `@` in it.
    run: (usize, Option<usize>),
}

impl<'a> Userinfo<'a> {
    const fn new(text: &'a str) -> Self {
        Self {
            text,
            position: 0,
            at: Next::UNKNOWN,
            space: Next::UNKNOWN,
            line_end: Next::UNKNOWN,
            address: Next::UNKNOWN,
            run: (0, None),
        }
    }

    /// Returns where the first character that satisfies `is` stands in the range, or the end of the range.
    fn first_in(&self, range: Range<usize>, is: impl Fn(char) -> bool) -> usize {
        let found = self.text[range.clone()].find(is);
        found.map_or(range.end, |index| range.start + index)
    }

    fn next_at(&mut self, from: usize) -> usize {
        let text = self.text;
        self.at.from(from, || first(text, from, is_at))
    }

    fn line_end(&mut self, from: usize) -> usize {
        let text = self.text;
        self.line_end
            .from(from, || first(text, from, |c| c == '\n'))
    }

    fn last_at(&self, from: usize, end: usize) -> Option<usize> {
        self.text[from..end].rfind(is_at).map(|index| from + index)
    }

    /// Returns where the last `@` stands that is in the run and behind `from`.
    fn last_at_of_run(&mut self, from: usize, run_end: usize) -> Option<usize> {
        if self.run.0 != run_end {
            self.run = (run_end, self.last_at(from, run_end));
        }
        self.run.1.filter(|at| *at >= from)
    }

    fn has_colon(&self, range: Range<usize>) -> bool {
        self.text[range].contains(is_colon)
    }

    /// Looks at a run of text without white space.
    fn look_at(&mut self, run: Range<usize>) -> Option<Range<usize>> {
        let opened = self.text[run.clone()].trim_start_matches(is_opening);
        let (start, end) = (run.end - opened.len(), run.end);
        let last_at = self.last_at_of_run(start, end);
        let Some(scheme_end) = self.text[start..end].find("://").map(|index| start + index) else {
            let at = last_at?;
            return self.has_colon(start..at).then_some(start..at);
        };
        let body = scheme_end + 3;
        // What stands before the scheme may be the beginning of a password that has `://` in it.
        let userinfo_end = self.end_of_userinfo(body, end);
        let found = if self.is_scheme(start..scheme_end) {
            body..userinfo_end.unwrap_or(body)
        } else {
            start..userinfo_end.max(last_at).unwrap_or(start)
        };
        self.position = found.end.max(body);
        Some(found)
    }

    /// Returns `true` if what stands before a `://` is no part of a user name or password.
    fn is_scheme(&self, range: Range<usize>) -> bool {
        let before = &self.text[range];
        if before.starts_with("jdbc:") || before.starts_with("r2dbc:") {
            return !before.contains(is_at);
        }
        !before.contains(|c| is_at(c) || is_colon(c))
    }

    /// Returns where the credentials behind a `://` end, if there are any.
    fn end_of_userinfo(&mut self, body: usize, run_end: usize) -> Option<usize> {
        let next = self.next_address(body);
        let last_at = self.last_at_of_run(body, run_end);
        let run_end = run_end.min(next);
        let authority_end = self.first_in(body..run_end, |c| matches!(c, '/' | '?' | '#'));
        if let Some(at) = self.last_at(body, authority_end) {
            // Behind a colon stands a password, which may hold anything, further `@` and spaces as well. A token
            // alone ends with the authority.
            return if self.has_colon(body..at) {
                self.last_at(body, next)
            } else {
                Some(at)
            };
        }
        if is_hosts(&self.text[body..authority_end]) {
            last_at?;
            let at = self.last_at(body, run_end)?;
            return self.has_colon(body..at).then_some(at);
        }
        // A password with a space, a quote, a slash or the like in it.
        let at = self.next_at(authority_end);
        if at >= self.line_end(body) {
            return None;
        }
        let end = if at < next {
            next
        } else {
            self.next_address(at)
        };
        self.last_at(body, end)
    }

    /// Returns where the next address of the same line begins, or the line ends.
    fn next_address(&mut self, from: usize) -> usize {
        let (text, line_end) = (self.text, self.line_end(from));
        self.address.from(from, || {
            let mut searched = from;
            while let Some(index) = text[searched..line_end].find("://") {
                let before = &text[searched..searched + index];
                let lead = before.trim_end_matches(is_of_scheme);
                let is_apart = |c: char| is_opening(c) || c.is_whitespace() || ",;|=".contains(c);
                // Of a known scheme, for a password may have a `://` in it.
                if SCHEMES.contains(&&before[lead.len()..]) && lead.ends_with(is_apart) {
                    return searched + lead.len();
                }
                searched += index + 3;
            }
            line_end
        })
    }
}

impl Iterator for Userinfo<'_> {
    type Item = Range<usize>;

    fn next(&mut self) -> Option<Range<usize>> {
        let end = self.text.len();
        // Without an `@` ahead there is nothing to be found, in however many runs.
        while self.next_at(self.position) < end {
            let start = self.first_in(self.position..end, |c| !c.is_whitespace());
            let text = self.text;
            let run_end = self
                .space
                .from(start, || first(text, start, char::is_whitespace));
            self.position = run_end;
            let found = self.look_at(start..run_end);
            if found.as_ref().is_some_and(|found| !found.is_empty()) {
                return found;
            }
        }
        None
    }
}

/// Returns where the first character from `from` that satisfies `is` stands, or the end of the text.
fn first(text: &str, from: usize, is: impl Fn(char) -> bool) -> usize {
    text[from..]
        .find(is)
        .map_or(text.len(), |index| from + index)
}

/// `true` if the text between `://` and a path names one or more hosts, each with or without a port, and so cannot
/// be the beginning of a user name and a password.
fn is_hosts(authority: &str) -> bool {
    let authority = authority.trim_end_matches(|c: char| c.is_ascii_punctuation() && c != ']');
    authority.split(',').all(|host| {
        let after_name = match host.strip_prefix('[') {
            Some(address) => address.split_once(']').map(|(_, port)| port),
            None => Some(host.find(is_colon).map_or("", |colon| &host[colon..])),
        };
        after_name.is_some_and(|port| {
            let digits = port.trim_start_matches(is_colon);
            let colons = port.len() - digits.len();
            colons <= 1 && digits.len() <= 5 && digits.bytes().all(|byte| byte.is_ascii_digit())
        })
    })
}

/// Finds what stands behind the names of credentials.
struct Values<'a> {
    text: &'a str,
    position: usize,
    line_end: Next,
}

/// What stands between the name of a credential and its value.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Separator {
    Equals,
    Colon,
    /// The end of the tag of an XML element.
    Tag,
    /// A space, behind an option of a command line.
    Space,
}

impl<'a> Values<'a> {
    const fn new(text: &'a str) -> Self {
        Self {
            text,
            position: 0,
            line_end: Next::UNKNOWN,
        }
    }

    fn bytes(&self) -> &'a [u8] {
        self.text.as_bytes()
    }

    /// Returns the byte at an index; the end of the text counts as the end of a line.
    fn byte(&self, index: usize) -> u8 {
        self.bytes().get(index).copied().unwrap_or(b'\n')
    }

    /// Returns where the first byte from `from` that does not satisfy `is` stands, or the end of the text.
    fn past(&self, from: usize, is: impl Fn(u8) -> bool) -> usize {
        let rest = self.bytes().get(from..).unwrap_or_default();
        let skipped = rest.iter().position(|byte| !is(*byte));
        skipped.map_or(self.text.len(), |index| from + index)
    }

    fn line_end(&mut self, from: usize) -> usize {
        let text = self.text;
        self.line_end
            .from(from, || first(text, from, |c| c == '\n'))
    }

    /// Looks whether a credential's name ends or begins at `index`, and finds its value.
    fn look_at(&mut self, index: usize) -> Option<Range<usize>> {
        match self.byte(index) {
            b'=' => {
                let name = self.name_before(self.name_end(index));
                self.value_of(name, index + 1, Separator::Equals)
            }
            b':' => {
                // Not of a path such as `Token::new`, nor of an address.
                let is_name = self.byte(index + 1) != b':'
                    && (index == 0 || self.byte(index - 1) != b':')
                    && !self.text[index..].starts_with("://");
                let name = is_name.then(|| self.name_before(self.name_end(index)))?;
                self.value_of(name, index + 1, Separator::Colon)
            }
            b'>' => {
                let name = self.name_before(index);
                let is_tag = name.start > 0 && self.byte(name.start - 1) == b'<';
                is_tag.then(|| self.value_of(name, index + 1, Separator::Tag))?
            }
            b'-' => {
                let is_option = self.text[index..].starts_with("--")
                    && (index == 0 || !is_of_name(self.byte(index - 1)));
                let name_end = is_option.then(|| self.past(index, is_of_name))?;
                let name = (self.byte(name_end) == b' ').then_some(index..name_end)?;
                self.value_of(name, name_end, Separator::Space)
            }
            b'b' | b'B' => {
                let word = self.bytes().get(index..index + 6)?;
                let start = self.past(index + 6, is_blank);
                let is_scheme = word.eq_ignore_ascii_case(b"bearer") && start > index + 6;
                is_scheme.then(|| start..self.past(start, |byte| !byte.is_ascii_whitespace()))
            }
            _ => None,
        }
    }

    fn back(&self, mut end: usize, is: impl Fn(u8) -> bool) -> usize {
        while end > self.position && is(self.byte(end - 1)) {
            end -= 1;
        }
        end
    }

    /// Returns where the name ends before a separator: before spaces, quotes and brackets.
    fn name_end(&self, separator: usize) -> usize {
        let end = self.back(separator, is_blank);
        self.back(end, |byte| b"\"'`\\]".contains(&byte))
    }

    fn name_before(&self, end: usize) -> Range<usize> {
        self.back(end, is_of_name)..end
    }

    fn value_of(
        &mut self,
        name: Range<usize>,
        from: usize,
        separator: Separator,
    ) -> Option<Range<usize>> {
        let before = self.text[..name.start].trim_end_matches([' ', '\t']);
        let name = &self.text[name];
        if !is_of_credential(name, separator) {
            return None;
        }
        let line_end = self.line_end(from);
        let is_word = |byte: u8| !byte.is_ascii_whitespace();
        if separator == Separator::Tag {
            return Some(from..self.past(from, |byte| byte != b'<'));
        }
        let start = self.past(from, is_blank);
        if let Some(quoted) = self.quoted(start, line_end) {
            return Some(quoted);
        }
        let end = match (separator, self.byte(start)) {
            (Separator::Equals, b'{') => self.end_of_braces(start + 1, line_end),
            (Separator::Equals, _) if before.ends_with(['?', '&']) => {
                self.past(start, |byte| is_word(byte) && byte != b'&')
            }
            (Separator::Equals, _) => self.end_of_setting(start, line_end, before.ends_with(';')),
            (Separator::Colon, b'{' | b'[') => line_end,
            (Separator::Colon, _) if contains(name, "authorization") => line_end,
            (Separator::Colon, _) => {
                let end = self.past(start, is_word);
                let is_plain = self.bytes()[start..end].iter().all(u8::is_ascii_alphabetic);
                let is_in_sentence =
                    before.ends_with(is_of_prose) || self.past(end, is_blank) < line_end;
                // Prose: `cannot read the token: no such file`.
                if is_plain && is_in_sentence {
                    return None;
                }
                end
            }
            (Separator::Space | Separator::Tag, _) => self.past(start, is_word),
        };
        Some(start..end)
    }

    /// Returns a value in quotes, as it may also stand in `Some("..")` or behind a backslash in what `Debug` shows.
    fn quoted(&self, start: usize, line_end: usize) -> Option<Range<usize>> {
        let wrapper = self.past(start, |byte| byte.is_ascii_alphanumeric() || byte == b'_');
        let start = if wrapper > start && self.byte(wrapper) == b'(' {
            wrapper + 1
        } else {
            start
        };
        let open = self.past(start, |byte| byte == b'\\');
        let (quote, is_escaped) = (self.byte(open), open > start);
        is_quote(char::from(quote)).then(|| {
            let start = open + 1;
            start..self.end_of_quoted(start, line_end, quote, is_escaped)
        })
    }

    /// Returns where a quoted value ends: at a quote that nothing of the value can follow.
    fn end_of_quoted(&self, start: usize, line_end: usize, quote: u8, is_escaped: bool) -> usize {
        let mut index = start;
        while index < line_end {
            let (byte, next) = (self.byte(index), self.byte(index + 1));
            if byte == quote && next == quote {
                index += 1;
            } else if byte == quote
                && (next.is_ascii_whitespace() || b",;)]}>&:\\\"'`".contains(&next))
            {
                let escape = usize::from(is_escaped && index > start);
                return index - escape;
            } else if byte == b'\\' && !is_escaped {
                index += 1;
            }
            index += 1;
        }
        line_end
    }

    /// Returns where a value in braces ends, in which a doubled brace stands for one.
    fn end_of_braces(&self, start: usize, line_end: usize) -> usize {
        let mut index = start;
        while index < line_end {
            if self.byte(index) == b'}' {
                index += 1;
                if self.byte(index) != b'}' {
                    return index;
                }
            }
            index += 1;
        }
        line_end
    }

    /// Returns where the unquoted value of `name=value` ends: before the next setting, since a password may have
    /// spaces and semicolons in it; or else with its first word, or with the line where semicolons separate settings.
    fn end_of_setting(&self, start: usize, line_end: usize, is_separated: bool) -> usize {
        let mut index = start;
        while index < line_end.min(start.saturating_add(LOOKAHEAD)) {
            match self.byte(index) {
                b'\\' => index += 1,
                b';' if self.is_end_or_setting(index + 1, line_end) => return index,
                byte if byte.is_ascii_whitespace()
                    && !is_separated
                    && self.is_setting(index + 1) =>
                {
                    return index;
                }
                _ => {}
            }
            index += 1;
        }
        if is_separated {
            line_end
        } else {
            self.past(start, |byte| !byte.is_ascii_whitespace())
        }
    }

    fn is_setting(&self, from: usize) -> bool {
        let end = self.past(from, is_of_name);
        end > from && self.byte(end) == b'='
    }

    fn is_end_or_setting(&self, from: usize, line_end: usize) -> bool {
        let end = self.past(from, |byte| is_of_name(byte) || byte == b' ');
        (end > from && self.byte(end) == b'=') || self.past(from, is_blank) >= line_end
    }
}

impl Iterator for Values<'_> {
    type Item = Range<usize>;

    fn next(&mut self) -> Option<Range<usize>> {
        for index in self.position..self.text.len() {
            let found = self.look_at(index);
            if let Some(found) = found.filter(|found| !found.is_empty()) {
                self.position = found.end;
                return Some(found);
            }
        }
        self.position = self.text.len();
        None
    }
}

const fn is_blank(byte: u8) -> bool {
    matches!(byte, b' ' | b'\t')
}

/// Returns `true` if a value of this name is a credential.
fn is_of_credential(name: &str, separator: Separator) -> bool {
    const WITHIN: [&str; 18] = [
        "passw",
        "passphrase",
        "secret",
        "token",
        "credential",
        "signature",
        "authorization",
        "cookie",
        "apikey",
        "accesskey",
        "accountkey",
        "privatekey",
        "sharedkey",
        "masterkey",
        "signingkey",
        "encryptionkey",
        "sessionkey",
        "jwt",
    ];
    const WHOLE: [&str; 4] = ["pw", "sig", "auth", "otp"];
    WITHIN.iter().any(|word| contains(name, word))
        || WHOLE.iter().any(|word| letters(name).eq(word.bytes()))
        || ["pwd", "pass"].iter().any(|word| ends_with(name, word))
        || (separator == Separator::Equals
            && (letters(name).eq(*b"key")
                || ["_key", "-key", ".key", "Key"]
                    .iter()
                    .any(|word| name.ends_with(word))))
}

/// The letters and digits of a name, in lower case.
fn letters(name: &str) -> impl DoubleEndedIterator<Item = u8> + Clone + '_ {
    let kept = name.bytes().filter(u8::is_ascii_alphanumeric);
    kept.map(|byte| byte.to_ascii_lowercase())
}

fn contains(name: &str, word: &str) -> bool {
    let mut rest = letters(name);
    loop {
        let mut ahead = rest.clone();
        if word.bytes().all(|byte| ahead.next() == Some(byte)) {
            return true;
        }
        if rest.next().is_none() {
            return false;
        }
    }
}

fn ends_with(name: &str, word: &str) -> bool {
    let mut back = letters(name).rev();
    word.bytes().rev().all(|byte| back.next() == Some(byte))
}

#[cfg(test)]
mod tests;
