//! How connections are protected: what is asked of them, and what came of it.
//!
//! What is asked is said by the pipeline, or by the URL, or by nobody: then it is TLS on the way to another machine, and
//! TLS where it is offered on this one. Nothing falls back to plain text after the first connection: what that one was
//! given is what all others must have.

use std::fmt;
use std::path::PathBuf;

use millrace_model::{Failure, Fault, Tls};
use sqlx::mysql::MySqlSslMode;
use sqlx::postgres::PgSslMode;

use crate::error::Place;

/// What a pipeline says about the connections to a database.
#[derive(Clone, Debug, Default)]
pub struct TlsOptions {
    /// None: it says nothing.
    pub mode: Option<Tls>,
    /// A file of certificates in PEM that are trusted besides the system's.
    pub ca: Option<PathBuf>,
}

/// How a database is spoken with.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Transport {
    /// Through a socket of this machine.
    Socket,
    /// In plain text.
    Plain {
        /// Whether the server is on this machine, by its address.
        local: bool,
        /// Whether somebody said so, and it is not only that the server offers nothing else.
        chosen: bool,
    },
    /// Through TLS.
    Encrypted {
        /// As the server says it: `TLSv1.3`. None: it does not say.
        protocol: Option<String>,
        /// What of its certificate was looked at.
        certificate: Certificate,
    },
}

/// What of a server's certificate was looked at.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Certificate {
    /// Nothing: whoever answers is believed.
    NotVerified,
    /// Who vouches for it, and not whose it is.
    Authority,
    /// Who vouches for it, and that it is the one of the URL's host.
    Verified,
}

impl fmt::Display for Transport {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Socket => f.write_str("a socket of this machine"),
            Self::Plain { local: true, .. } => f.write_str("plain text, on this machine"),
            Self::Plain { chosen: true, .. } => f.write_str("plain text, as the pipeline says"),
            Self::Plain { .. } => f.write_str("plain text, because the server offers no TLS"),
            Self::Encrypted { protocol, certificate } => {
                let certificate = match certificate {
                    Certificate::NotVerified => "its certificate not verified",
                    Certificate::Authority => "its certificate verified, but not its name",
                    Certificate::Verified => "its certificate verified",
                };
                write!(f, "{}, {certificate}", protocol.as_deref().unwrap_or("TLS"))
            }
        }
    }
}

/// What a driver is told. More than a pipeline can say: a URL may ask for the authority alone.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Mode {
    Off,
    Prefer,
    Require,
    VerifyAuthority,
    Verify,
}

impl From<Tls> for Mode {
    fn from(tls: Tls) -> Self {
        match tls {
            Tls::Off => Self::Off,
            Tls::Prefer => Self::Prefer,
            Tls::Require => Self::Require,
            Tls::Verify => Self::Verify,
        }
    }
}

/// The options of a driver, as far as they are about TLS.
pub(crate) trait Secured: Sized {
    fn mode(&self) -> Mode;
    fn host(&self) -> &str;
    fn is_socket(&self) -> bool;
    #[must_use]
    fn with_mode(self, mode: Mode) -> Self;
    #[must_use]
    fn with_authority(self, pem: Vec<u8>) -> Self;
}

impl Secured for sqlx::postgres::PgConnectOptions {
    fn mode(&self) -> Mode {
        match self.get_ssl_mode() {
            // The driver does not know how to allow: it sends plain text.
            PgSslMode::Disable | PgSslMode::Allow => Mode::Off,
            PgSslMode::Prefer => Mode::Prefer,
            PgSslMode::Require => Mode::Require,
            PgSslMode::VerifyCa => Mode::VerifyAuthority,
            PgSslMode::VerifyFull => Mode::Verify,
        }
    }

    fn host(&self) -> &str {
        self.get_host()
    }

    fn is_socket(&self) -> bool {
        self.get_socket().is_some() || self.get_host().starts_with('/')
    }

    fn with_mode(self, mode: Mode) -> Self {
        self.ssl_mode(match mode {
            Mode::Off => PgSslMode::Disable,
            Mode::Prefer => PgSslMode::Prefer,
            Mode::Require => PgSslMode::Require,
            Mode::VerifyAuthority => PgSslMode::VerifyCa,
            Mode::Verify => PgSslMode::VerifyFull,
        })
    }

    fn with_authority(self, pem: Vec<u8>) -> Self {
        self.ssl_root_cert_from_pem(pem)
    }
}

impl Secured for sqlx::mysql::MySqlConnectOptions {
    fn mode(&self) -> Mode {
        match self.get_ssl_mode() {
            MySqlSslMode::Disabled => Mode::Off,
            MySqlSslMode::Preferred => Mode::Prefer,
            MySqlSslMode::Required => Mode::Require,
            MySqlSslMode::VerifyCa => Mode::VerifyAuthority,
            MySqlSslMode::VerifyIdentity => Mode::Verify,
        }
    }

    fn host(&self) -> &str {
        self.get_host()
    }

    fn is_socket(&self) -> bool {
        self.get_socket().is_some()
    }

    fn with_mode(self, mode: Mode) -> Self {
        self.ssl_mode(match mode {
            Mode::Off => MySqlSslMode::Disabled,
            Mode::Prefer => MySqlSslMode::Preferred,
            Mode::Require => MySqlSslMode::Required,
            Mode::VerifyAuthority => MySqlSslMode::VerifyCa,
            Mode::Verify => MySqlSslMode::VerifyIdentity,
        })
    }

    fn with_authority(self, pem: Vec<u8>) -> Self {
        self.ssl_ca_from_pem(pem)
    }
}

/// What is asked of the connections to one database.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Demand {
    mode: Mode,
    /// Whether the pipeline or the URL says so.
    said: bool,
    local: bool,
    socket: bool,
}

impl Demand {
    /// From what the pipeline says, and the URL, of which `options` were made. Gives the options that ask for it.
    ///
    /// # Errors
    /// `database.tls-contradiction`, `database.ca-unreadable`.
    pub(crate) fn new<O: Secured>(
        asked: &TlsOptions,
        url: &str,
        options: O,
        place: &Place,
    ) -> Result<(Self, O), Failure> {
        let of_driver = options.mode();
        let in_url = has_parameter(url, &["sslmode", "ssl-mode"]);
        let (local, socket) = (is_local(options.host()), options.is_socket());
        let contradiction = |pipeline: &str| {
            let message = format!("the pipeline says {pipeline} for database {place}, and its url says something else");
            Failure::config("database.tls-contradiction", message).with("database", place.name.clone())
        };
        if let (Some(tls), true) = (asked.mode, in_url && asked.mode.map(Mode::from) != Some(of_driver)) {
            return Err(contradiction(&format!("tls = \"{tls}\"")));
        }
        let authority_in_url = has_parameter(url, &["sslrootcert", "ssl-root-cert", "sslca", "ssl-ca"]);
        if asked.ca.is_some() && authority_in_url {
            return Err(contradiction("whose certificates are trusted"));
        }
        let said = asked.mode.map(Mode::from).or((in_url || of_driver != Mode::Prefer).then_some(of_driver));
        let mode = match said {
            // There is nobody between.
            _ if socket => Mode::Off,
            Some(mode) => mode,
            // Who names an authority wants it asked.
            None if authority_in_url => Mode::Verify,
            None if local => Mode::Prefer,
            None => Mode::Require,
        };
        let options = match &asked.ca {
            Some(path) if !socket => options.with_authority(certificates(path, place)?),
            _ => options,
        };
        let demand = Self { mode, said: said.is_some(), local, socket };
        let options = demand.of(options);
        Ok((demand, options))
    }

    /// Options that ask for this. What falls back asks for TLS first: [`Demand::without`].
    fn of<O: Secured>(self, options: O) -> O {
        options.with_mode(if self.mode == Mode::Prefer { Mode::Require } else { self.mode })
    }

    /// Makes the first contact as this asks for it, and once more in plain text where the server offers no TLS and that
    /// will do. Gives what is asked of all later connections, and the options that ask for it.
    ///
    /// # Errors
    /// What the contact says.
    pub(crate) async fn settle<O, T, F>(self, options: O, contact: impl Fn(O) -> F) -> Result<(Self, O, T), Failure>
    where
        O: Secured + Clone,
        F: Future<Output = Result<T, Failure>>,
    {
        let failure = match contact(options.clone()).await {
            Ok(facts) => return Ok((self, options, facts)),
            Err(failure) => failure,
        };
        let (demand, options) = self.without(options, failure)?;
        let facts = contact(options.clone()).await?;
        Ok((demand, options, facts))
    }

    /// What a server that offers no TLS is asked for instead.
    ///
    /// # Errors
    /// `failure`, where it must be TLS.
    fn without<O: Secured>(self, options: O, failure: Failure) -> Result<(Self, O), Failure> {
        if failure.code != "database.no-tls" {
            return Err(failure);
        }
        match self.mode {
            Mode::Prefer => {
                let plain = Self { mode: Mode::Off, said: false, ..self };
                Ok((plain, options.with_mode(Mode::Off)))
            }
            _ if self.said => Err(failure),
            _ => {
                let message = format!(
                    "{}, and nothing is sent to another machine in plain text unless the pipeline says so",
                    failure.message
                );
                Err(Failure { message, ..failure })
            }
        }
    }

    /// What came of it; `protocol` is what the server says.
    pub(crate) fn met(self, protocol: Option<String>) -> Transport {
        let encrypted = |certificate| Transport::Encrypted { protocol, certificate };
        match self.mode {
            _ if self.socket => Transport::Socket,
            Mode::Off => Transport::Plain { local: self.local, chosen: self.said },
            Mode::Prefer | Mode::Require => encrypted(Certificate::NotVerified),
            Mode::VerifyAuthority => encrypted(Certificate::Authority),
            Mode::Verify => encrypted(Certificate::Verified),
        }
    }
}

/// Whether a URL has one of these parameters.
fn has_parameter(url: &str, names: &[&str]) -> bool {
    let query = url.split_once('?').map_or("", |(_, query)| query).split('#').next().unwrap_or_default();
    query.split('&').any(|parameter| names.contains(&parameter.split('=').next().unwrap_or_default()))
}

/// Whether a host is this machine, by its name alone: another name may be anybody's tomorrow.
fn is_local(host: &str) -> bool {
    let host = host.trim_start_matches('[').trim_end_matches(']');
    let address: Option<std::net::IpAddr> = host.parse().ok();
    address.map_or_else(|| host.eq_ignore_ascii_case("localhost"), |address| address.is_loopback())
}

/// The certificates in a file. Nothing of what is in it goes into a message.
fn certificates(path: &std::path::Path, place: &Place) -> Result<Vec<u8>, Failure> {
    let unreadable = |why: &str| {
        let message = format!("the certificates for database {place} cannot be read from {}: {why}", path.display());
        Failure::new(Fault::Config, "database.ca-unreadable", message).with("database", place.name.clone())
    };
    let pem = std::fs::read(path).map_err(|e| unreadable(&e.to_string()))?;
    let begin = b"-----BEGIN CERTIFICATE-----";
    if pem.windows(begin.len()).any(|window| window == begin) {
        Ok(pem)
    } else {
        Err(unreadable("it holds no certificate in PEM"))
    }
}

#[cfg(test)]
mod tests {
    use sqlx::mysql::MySqlConnectOptions;
    use sqlx::postgres::PgConnectOptions;

    use super::*;

    fn place() -> Place {
        Place { name: "target".to_owned(), address: "there:1".to_owned() }
    }

    /// What is asked of a MySQL server, and whether somebody said so.
    fn asked(tls: Option<Tls>, url: &str) -> Result<(Mode, bool), String> {
        let options: MySqlConnectOptions = url.parse().unwrap();
        let asked = TlsOptions { mode: tls, ca: None };
        Demand::new(&asked, url, options, &place()).map(|(d, _)| (d.mode, d.said)).map_err(|failure| failure.code)
    }

    #[test]
    fn another_machine_is_spoken_with_through_tls_unless_somebody_says_otherwise() {
        assert_eq!(asked(None, "mysql://db.example/x"), Ok((Mode::Require, false)));
        assert_eq!(asked(None, "mysql://10.0.0.7/x"), Ok((Mode::Require, false)));
        assert_eq!(asked(None, "mysql://127.0.0.1/x"), Ok((Mode::Prefer, false)));
        assert_eq!(asked(None, "mysql://[::1]/x"), Ok((Mode::Prefer, false)));
        assert_eq!(asked(None, "mysql://localhost/x"), Ok((Mode::Prefer, false)));
        assert_eq!(asked(None, "mysql://localhost.example/x"), Ok((Mode::Require, false)));
        assert_eq!(asked(Some(Tls::Off), "mysql://db.example/x"), Ok((Mode::Off, true)));
        assert_eq!(asked(None, "mysql://db.example/x?ssl-mode=PREFERRED"), Ok((Mode::Prefer, true)));
        assert_eq!(asked(None, "mysql://db.example/x?ssl-mode=VERIFY_CA"), Ok((Mode::VerifyAuthority, true)));
        assert_eq!(asked(None, "mysql://localhost/x?ssl-ca=/there"), Ok((Mode::Verify, false)));
        assert_eq!(asked(Some(Tls::Require), "mysql://u@x/x?socket=/run/s"), Ok((Mode::Off, true)));
    }

    #[test]
    fn a_url_that_says_something_else_than_the_pipeline_is_refused() {
        let contradiction = Err("database.tls-contradiction".to_owned());
        assert_eq!(asked(Some(Tls::Verify), "mysql://db.example/x?ssl-mode=disabled"), contradiction);
        assert_eq!(asked(Some(Tls::Off), "mysql://db.example/x?a=b&sslmode=REQUIRED"), contradiction);
        assert_eq!(asked(Some(Tls::Verify), "mysql://db.example/x?ssl-mode=VERIFY_CA"), contradiction);
        assert_eq!(asked(Some(Tls::Require), "mysql://db.example/x?ssl-mode=required"), Ok((Mode::Require, true)));
        let options: PgConnectOptions = "postgres://db.example/x?sslrootcert=/there".parse().unwrap();
        let asked = TlsOptions { mode: Some(Tls::Verify), ca: Some("/here".into()) };
        let refused = Demand::new(&asked, "postgres://db.example/x?sslrootcert=/there", options, &place());
        assert_eq!(refused.map(|_| ()).map_err(|failure| failure.code), contradiction.map(|_: (Mode, bool)| ()));
    }

    #[test]
    fn a_file_without_certificates_is_refused_and_not_quoted() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("ca.pem");
        std::fs::write(&path, "my secret key").unwrap();
        let failure = certificates(&path, &place()).unwrap_err();
        assert_eq!(failure.code, "database.ca-unreadable");
        assert!(failure.message.contains("ca.pem") && !failure.message.contains("secret"), "{}", failure.message);
        assert_eq!(certificates(&folder.path().join("none"), &place()).unwrap_err().code, "database.ca-unreadable");
    }

    #[test]
    fn what_was_agreed_is_said_in_words() {
        let words = |transport: Transport| transport.to_string();
        let protocol = || Some("TLSv1.3".to_owned());
        let verified = Transport::Encrypted { protocol: protocol(), certificate: Certificate::Verified };
        assert_eq!(words(verified), "TLSv1.3, its certificate verified");
        let anyone = Transport::Encrypted { protocol: None, certificate: Certificate::NotVerified };
        assert_eq!(words(anyone), "TLS, its certificate not verified");
        assert_eq!(words(Transport::Plain { local: true, chosen: false }), "plain text, on this machine");
    }
}
