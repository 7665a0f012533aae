//! `${env:NAME}` and `${file:PATH}` in the URL of a database: how a secret comes in without standing in the text.

use std::path::Path;

use secrecy::{ExposeSecret, SecretString};

use crate::diagnostic::password_of;

/// Gives variables their values. The crate opens nothing by itself.
pub trait Resolver {
    /// The value of an environment variable. None: it is not set.
    fn variable(&self, name: &str) -> Option<SecretString>;

    /// The content of a file; a relative path starts at the pipeline's folder.
    ///
    /// # Errors
    /// Why it cannot be read, in a few words that do not hold what was read.
    fn file(&self, path: &Path) -> Result<SecretString, String>;
}

/// A piece of a text with variables.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Piece {
    Literal(String),
    Variable(String),
    File(String),
}

/// A text with variables, not yet replaced. `$${` stands for `${`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Template {
    pieces: Vec<Piece>,
}

/// Why a template or its values cannot be used: a code, a sentence, and the part of the text it is about.
pub(crate) struct Unusable {
    pub(crate) code: &'static str,
    pub(crate) message: String,
    pub(crate) part: String,
}

impl Template {
    pub(crate) fn parse(text: &str) -> Result<Self, Unusable> {
        let mut pieces = Vec::new();
        let mut literal = String::new();
        let mut rest = text;
        while let Some(at) = rest.find("${") {
            if let Some(before) = rest[..at].strip_suffix('$') {
                literal.push_str(before);
                literal.push_str("${");
                rest = &rest[at + 2..];
                continue;
            }
            literal.push_str(&rest[..at]);
            let bad =
                |message: String, part: &str| Unusable { code: "pipeline.bad-variable", message, part: part.into() };
            let Some(length) = rest[at..].find('}') else {
                return Err(bad("a variable is never closed with `}`".into(), &rest[at..]));
            };
            let written = &rest[at..=at + length];
            let inside = &written[2..written.len() - 1];
            if !literal.is_empty() {
                pieces.push(Piece::Literal(std::mem::take(&mut literal)));
            }
            pieces.push(match inside.split_once(':') {
                Some(("env", name)) if !name.is_empty() => Piece::Variable(name.into()),
                Some(("file", path)) if !path.is_empty() => Piece::File(path.into()),
                _ => {
                    let message = format!(
                        "`{written}` is no variable: write `${{env:NAME}}`, `${{file:PATH}}`, or `$${{` for `${{`"
                    );
                    return Err(bad(message, written));
                }
            });
            rest = &rest[at + length + 1..];
        }
        literal.push_str(rest);
        if !literal.is_empty() {
            pieces.push(Piece::Literal(literal));
        }
        Ok(Self { pieces })
    }

    /// Whether a password stands in the text itself, where it would be kept and shown with it.
    pub(crate) fn holds_password(&self) -> bool {
        // Variables become a character that no URL has, so that what remains is literal.
        let literal: String = self
            .pieces
            .iter()
            .map(|piece| match piece {
                Piece::Literal(text) => text.as_str(),
                Piece::Variable(_) | Piece::File(_) => "\0",
            })
            .collect();
        let is_literal = |password: &str| password.chars().any(|c| c != '\0');
        let Some((_, after_scheme)) = literal.split_once("://") else {
            return false;
        };
        let in_authority = password_of(after_scheme).is_some_and(|span| is_literal(&after_scheme[span]));
        let mut parameters = after_scheme.split_once('?').map_or("", |(_, query)| query).split('&');
        in_authority || parameters.any(|p| p.strip_prefix("password=").is_some_and(is_literal))
    }

    /// The text with its variables replaced; every one that cannot be is a problem.
    pub(crate) fn resolve(&self, resolver: &dyn Resolver) -> Result<SecretString, Vec<Unusable>> {
        let mut text = String::new();
        let mut problems = Vec::new();
        for piece in &self.pieces {
            match value(piece, resolver) {
                Ok(value) => text.push_str(value.expose_secret()),
                Err(problem) => problems.push(problem),
            }
        }
        if problems.is_empty() { Ok(SecretString::from(text)) } else { Err(problems) }
    }
}

fn value(piece: &Piece, resolver: &dyn Resolver) -> Result<SecretString, Unusable> {
    match piece {
        Piece::Literal(text) => Ok(SecretString::from(text.as_str())),
        Piece::Variable(name) => {
            let unset = |what: &str| Unusable {
                code: "pipeline.unset-variable",
                message: format!("the environment variable {name} is {what}"),
                part: format!("${{env:{name}}}"),
            };
            let value = resolver.variable(name).ok_or_else(|| unset("not set"))?;
            if value.expose_secret().is_empty() { Err(unset("empty")) } else { Ok(value) }
        }
        Piece::File(path) => {
            let unreadable = |why: &str| Unusable {
                code: "pipeline.unreadable-secret",
                message: format!("the file {path} cannot be used: {why}"),
                part: format!("${{file:{path}}}"),
            };
            let content = resolver.file(Path::new(path)).map_err(|why| unreadable(&why))?;
            // Editors end a file with a newline that is no part of the secret.
            let trimmed = content.expose_secret().trim_end_matches(['\r', '\n']);
            if trimmed.is_empty() { Err(unreadable("it is empty")) } else { Ok(SecretString::from(trimmed)) }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    struct Fixed;

    impl Resolver for Fixed {
        fn variable(&self, name: &str) -> Option<SecretString> {
            (name == "NAME").then(|| "value".into())
        }

        fn file(&self, path: &Path) -> Result<SecretString, String> {
            if path == Path::new("/f") { Ok("secret\r\n".into()) } else { Err("there is no such file".into()) }
        }
    }

    fn resolved(text: &str) -> Result<String, &'static str> {
        let template = Template::parse(text).map_err(|p| p.code)?;
        template.resolve(&Fixed).map(|s| s.expose_secret().to_owned()).map_err(|p| p[0].code)
    }

    #[test]
    fn variables_are_replaced_and_doubled_dollars_are_not() {
        assert_eq!(resolved("a ${env:NAME} b ${file:/f} c"), Ok("a value b secret c".into()));
        assert_eq!(resolved("$${env:NAME} $ {} $${}"), Ok("${env:NAME} $ {} ${}".into()));
        assert_eq!(resolved("${env:OTHER}"), Err("pipeline.unset-variable"));
        assert_eq!(resolved("${file:/other}"), Err("pipeline.unreadable-secret"));
        for wrong in ["${env:NAME", "${NAME}", "${env:}", "${}", "${vault:x}"] {
            assert_eq!(resolved(wrong), Err("pipeline.bad-variable"), "{wrong}");
        }
    }

    #[test]
    fn a_password_may_come_from_a_variable_only() {
        let holds = |text: &str| Template::parse(text).unwrap_or_else(|p| panic!("{}", p.message)).holds_password();
        assert!(holds("mysql://root:hush@h/db"));
        assert!(holds("mysql://root:x${env:P}@h/db"));
        assert!(holds("postgres://h/db?sslmode=require&password=hush"));
        assert!(!holds("mysql://root:${env:P}@h:2881/db"));
        assert!(!holds("mysql://root@h:2881/db"));
        assert!(!holds("mysql://root:@h:2881/db"));
        assert!(!holds("mysql://[::1]:2881/db"));
        assert!(!holds("${env:URL}"));
    }
}
