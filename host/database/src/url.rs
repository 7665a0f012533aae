//! Why a url cannot be read, without a word of what it holds: that may be a password.

/// One clause about a url that the driver refused, to follow "the url of database `source`".
pub(crate) fn why_unreadable(url: &str) -> String {
    let rest = url.split_once("://").map_or(url, |(_, rest)| rest);
    let end = rest.find(['/', '?', '#']).unwrap_or(rest.len());
    let (authority, after) = rest.split_at(end);
    // The user's part ends at the last `@`: one that stands behind a `/`, `?` or `#` says that these belonged to it.
    let encoded = after.chars().next().filter(|_| after.contains('@')).and_then(|cut| match cut {
        '/' => Some(('/', "%2F")),
        '?' => Some(('?', "%3F")),
        '#' => Some(('#', "%23")),
        _ => None,
    });
    if let Some((written, code)) = encoded {
        return format!("has `{written}` before its last `@`; in a user's name or a password, write it as {code}");
    }
    let host = authority.rsplit_once('@').map_or(authority, |(_, host)| host);
    let after_brackets = host.rsplit_once(']').map_or(host, |(_, after)| after);
    match after_brackets.rsplit_once(':') {
        Some((_, port)) if port.parse::<u16>().is_err() => "has a port that is no number from 1 to 65535".to_owned(),
        _ => "cannot be read; special characters of a user's name or a password must be percent-encoded".to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_wrong_with_a_url_is_said_and_nothing_of_it_shown() {
        for (url, part) in [
            ("postgres://me:s3cret@localhost:abc/shop", "port"),
            ("postgres://me:s3cret@localhost:99999/shop", "port"),
            ("postgres://me:s3cret@[::1]:abc/shop", "port"),
            ("mysql://me:s3c/ret@localhost:3306/shop", "%2F"),
            ("mysql://me:s3c#ret@localhost:3306/shop", "%23"),
            ("mysql://me:s3c?ret@localhost:3306/shop", "%3F"),
            ("mysql://me:s3c%ZZret@local host/shop", "percent-encoded"),
        ] {
            let why = why_unreadable(url);
            assert!(why.contains(part), "{url}: {why}");
            for secret in ["s3c", "ret", "abc", "99999", "shop"] {
                assert!(!why.contains(secret), "{url}: {why}");
            }
        }
    }
}
