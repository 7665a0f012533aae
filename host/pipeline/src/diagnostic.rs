//! What is wrong with a pipeline's text, and where.

use std::fmt::Write as _;
use std::ops::Range;

use annotate_snippets::renderer::DecorStyle;
use annotate_snippets::{AnnotationKind, Level, Renderer, Snippet};
use millrace_model::Failure;
use millrace_model::quantity::counted;
use serde::Serialize;

/// One thing that is wrong with a pipeline.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Diagnostic {
    /// Stable and documented, such as `pipeline.unknown-key`.
    pub code: String,
    /// What is wrong, in one sentence. Never a secret.
    pub message: String,
    /// What to write instead. None: the message says it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub help: Option<String>,
    /// The bytes of the text that it is about.
    pub span: Range<usize>,
    /// The line of the first of them, from one.
    pub line: usize,
    /// The column of the first of them, in characters, from one.
    pub column: usize,
}

impl Diagnostic {
    /// A problem with these bytes of the text; a span that reaches beyond the text is cut.
    pub fn new(
        text: &str,
        span: Range<usize>,
        code: impl Into<String>,
        message: impl Into<String>,
        help: Option<String>,
    ) -> Self {
        let start = floor_boundary(text, span.start);
        let end = floor_boundary(text, span.end).max(start);
        let before = &text[..start];
        let line_start = before.rfind('\n').map_or(0, |newline| newline + 1);
        Self {
            code: code.into(),
            message: message.into(),
            help,
            span: start..end,
            line: before.matches('\n').count() + 1,
            column: before[line_start..].chars().count() + 1,
        }
    }
}

fn floor_boundary(text: &str, index: usize) -> usize {
    let mut index = index.min(text.len());
    while !text.is_char_boundary(index) {
        index -= 1;
    }
    index
}

/// Whether a report has colours.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Color {
    /// With the escape sequences of terminals.
    Styled,
    /// Text only.
    Plain,
}

/// All diagnostics as a person reads them: what, file, line and column, the line itself, and what to write
/// instead. Passwords that stand in the text are blotted out.
pub fn render(diagnostics: &[Diagnostic], text: &str, origin: &str, color: Color) -> String {
    let text = blot_passwords(text);
    let renderer = match color {
        Color::Styled => Renderer::styled(),
        Color::Plain => Renderer::plain(),
    };
    let renderer = renderer.decor_style(DecorStyle::Ascii);
    let mut out = String::new();
    for diagnostic in diagnostics {
        let snippet = Snippet::source(text.as_str())
            .path(origin)
            .annotation(AnnotationKind::Primary.span(diagnostic.span.clone()));
        let mut group =
            Level::ERROR.primary_title(diagnostic.message.as_str()).id(diagnostic.code.as_str()).element(snippet);
        if let Some(help) = &diagnostic.help {
            group = group.element(Level::HELP.message(help.as_str()));
        }
        out.push_str(&renderer.render(&[group]));
        out.push_str("\n\n");
    }
    let count = diagnostics.len();
    let problems = if count == 1 { "problem" } else { "problems" };
    writeln!(out, "{origin}: {count} {problems}").expect("writing to a string");
    out
}

/// All diagnostics as one failure, for where only a failure can be handed on. Its fields hold each of them.
pub fn summary(diagnostics: &[Diagnostic], origin: &str) -> Failure {
    let at = |d: &Diagnostic| format!("{origin}:{}:{}", d.line, d.column);
    match diagnostics {
        [] => Failure::internal("pipeline.invalid", format!("{origin} was refused without a reason")),
        [only] => Failure::config(only.code.clone(), format!("{}: {}", at(only), only.message)),
        [first, ..] => {
            let problems = counted(diagnostics.len() as u64, "problem");
            let message = format!("{origin} has {problems}; the first: {}", first.message);
            diagnostics.iter().enumerate().fold(Failure::config("pipeline.invalid", message), |failure, (n, d)| {
                failure.with(&format!("problem-{}", n + 1), format!("{}: {} [{}]", at(d), d.message, d.code))
            })
        }
    }
}

/// The same text, byte for byte as long, with an asterisk for every byte of a password in a URL.
fn blot_passwords(text: &str) -> String {
    let mut bytes = text.as_bytes().to_vec();
    let mut from = 0;
    while let Some(found) = text[from..].find("://") {
        let start = from + found + 3;
        let end = text[start..]
            .find(|c: char| c.is_whitespace() || matches!(c, '"' | '\''))
            .map_or(text.len(), |length| start + length);
        if let Some(password) = password_of(&text[start..end]) {
            bytes[start + password.start..start + password.end].fill(b'*');
        }
        if let Some(query) = text[start..end].find("password=") {
            let value = start + query + "password=".len();
            let length = text[value..end].find('&').unwrap_or(end - value);
            bytes[value..value + length].fill(b'*');
        }
        from = start;
    }
    String::from_utf8(bytes).unwrap_or_else(|_| "*".repeat(text.len()))
}

/// Where the password stands in what follows the `://` of a URL. None: there is none. A password may hold a
/// slash that should have been escaped, so whatever stands before the last `@` counts.
pub(crate) fn password_of(after_scheme: &str) -> Option<Range<usize>> {
    let end = after_scheme.rfind('@')?;
    let start = after_scheme[..end].find(':')? + 1;
    Some(start..end)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_password_in_the_text_is_not_shown() {
        let text = "url = \"mysql://root:p@ss/wörd@host:1/db\"\nother = 'postgres://h/db?password=hush&x=1'\n";
        let blotted = blot_passwords(text);
        assert_eq!(
            blotted,
            "url = \"mysql://root:**********@host:1/db\"\nother = 'postgres://h/db?password=****&x=1'\n"
        );
        assert_eq!(blotted.len(), text.len());
    }

    #[test]
    fn a_place_is_counted_in_lines_and_characters() {
        let text = "ä = 1\nöö = 2\n";
        let at = text.find('2').expect("it is there");
        let diagnostic = Diagnostic::new(text, at..at + 1, "pipeline.invalid", "two", None);
        assert_eq!((diagnostic.line, diagnostic.column), (2, 6));
        let beyond = Diagnostic::new(text, 500..900, "pipeline.invalid", "beyond", None);
        assert_eq!((beyond.line, beyond.column), (3, 1));
    }
}
