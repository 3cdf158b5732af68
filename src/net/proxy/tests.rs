use super::{Proxies, Proxy, ProxyError};
use crate::net::stream::authority;
use std::collections::HashMap;
use std::ffi::{OsStr, OsString};
use std::os::unix::ffi::OsStrExt;

fn proxies(variables: &[(&str, &str)]) -> Proxies {
    let variables: HashMap<&str, &str> = variables.iter().copied().collect();
    Proxies::read(|name| variables.get(name).map(OsString::from))
}

fn to_store(variables: &[(&str, &str)], tls: bool) -> Result<Option<Proxy>, ProxyError> {
    proxies(variables).choose("store.example", 443, tls)
}

#[test]
fn a_variable_is_for_some_peers() {
    for (variables, with_tls, without_tls) in [
        (&[][..], None, None),
        (&[("https_proxy", "http://a:1")], Some("a:1"), None),
        (&[("HTTPS_PROXY", "http://a:1")], Some("a:1"), None),
        (&[("https_proxy", "http://a:1"), ("HTTPS_PROXY", "http://b:2")], Some("a:1"), None),
        (&[("https_proxy", ""), ("HTTPS_PROXY", "http://b:2")], Some("b:2"), None),
        (&[("http_proxy", "http://a:1")], None, Some("a:1")),
        // Any client of a CGI program may set this one.
        (&[("HTTP_PROXY", "http://a:1")], None, None),
        (&[("all_proxy", "http://a:1")], Some("a:1"), Some("a:1")),
        (&[("ALL_PROXY", "http://a:1"), ("http_proxy", "http://b:2")], Some("a:1"), Some("b:2")),
        (&[("ALL_PROXY", "http://a:1"), ("https_proxy", "http://b:2")], Some("b:2"), Some("a:1")),
        (&[("ALL_PROXY", "http://a:1"), ("no_proxy", "example")], None, None),
        (&[("ALL_PROXY", "http://a:1"), ("NO_PROXY", "store.example:443")], None, None),
        (&[("ALL_PROXY", "http://a:1"), ("no_proxy", "other"), ("NO_PROXY", "*")], Some("a:1"), Some("a:1")),
        (&[("ALL_PROXY", "http://a:1"), ("no_proxy", ""), ("NO_PROXY", "*")], None, None),
        // What is not used may be of any kind.
        (&[("ALL_PROXY", "socks5://a:1"), ("NO_PROXY", "*")], None, None),
        (&[("https_proxy", "http://a:1"), ("http_proxy", ""), ("ftp_proxy", "?")], Some("a:1"), None),
    ] {
        let found = |tls| to_store(variables, tls).unwrap().map(|proxy| proxy.to_string());
        let expected = (with_tls.map(str::to_owned), without_tls.map(str::to_owned));
        assert_eq!((found(true), found(false)), expected, "{variables:?}");
    }
}

#[test]
fn this_machine_is_reached_directly() {
    let proxies = proxies(&[("all_proxy", "http://a:1")]);
    for (host, expected) in [
        ("localhost", false),
        ("LocalHost", false),
        ("127.0.0.1", false),
        ("127.9.9.9", false),
        ("::1", false),
        ("::ffff:127.0.0.1", false),
        ("localhost.example", true),
        ("128.0.0.1", true),
        ("::2", true),
    ] {
        for tls in [false, true] {
            assert_eq!(proxies.choose(host, 1, tls).unwrap().is_some(), expected, "{host}");
        }
    }
}

#[test]
fn urls_of_proxies() {
    for (url, place, authorization) in [
        ("http://proxy.example:3128", "proxy.example:3128", None),
        ("HTTP://proxy.example:3128/", "proxy.example:3128", None),
        (" http://proxy.example:3128/a?b#c\n", "proxy.example:3128", None),
        ("proxy.example:3128", "proxy.example:3128", None),
        ("proxy.example", "proxy.example:80", None),
        ("http://proxy.example:/", "proxy.example:80", None),
        ("http://192.0.2.1:3128", "192.0.2.1:3128", None),
        ("http://[2001:db8::1]:3128", "[2001:db8::1]:3128", None),
        ("http://[2001:db8::1]", "[2001:db8::1]:80", None),
        // RFC 7617, section 2.
        ("http://Aladdin:open%20sesame@p:1", "p:1", Some("Basic QWxhZGRpbjpvcGVuIHNlc2FtZQ==")),
        ("Aladdin:open%20sesame@p:1", "p:1", Some("Basic QWxhZGRpbjpvcGVuIHNlc2FtZQ==")),
        ("http://test:123%C2%A3@p:1", "p:1", Some("Basic dGVzdDoxMjPCow==")),
        // A user alone, a password with a colon, an `@` or a percent sign in it.
        ("http://a@p:1", "p:1", Some("Basic YTo=")),
        ("http://a:b:c@p:1", "p:1", Some("Basic YTpiOmM=")),
        ("http://a:b@c@p:1", "p:1", Some("Basic YTpiQGM=")),
        ("http://a:%25%40@p:1", "p:1", Some("Basic YTolQA==")),
    ] {
        let proxy = to_store(&[("all_proxy", url)], true).unwrap().unwrap();
        assert_eq!(authority(&proxy.host, proxy.port), place, "{url}");
        let found = proxy.authorization.as_ref().map(|value| value.to_str().unwrap());
        assert_eq!(found, authorization, "{url}");
        assert_eq!(proxy.has_user(), authorization.is_some());
        assert!(proxy.authorization.as_ref().is_none_or(|value| value.is_sensitive()));
        assert_eq!((proxy.to_string(), format!("{proxy:?}")), (place.to_owned(), format!("Proxy({place})")));
    }
}

#[test]
fn user_and_password_are_told_to_who_makes_a_header_of_its_own() {
    for (user, expected) in [
        ("a:b%3Ac%2F@", Some(("a", "b:c/"))),
        ("a@", Some(("a", ""))),
        ("a:%C2%A3@", Some(("a", "\u{a3}"))),
        ("a:%ff@", None),
        ("", None),
    ] {
        let proxy = to_store(&[("all_proxy", &format!("http://{user}p:1"))], true).unwrap().unwrap();
        let found = proxy.user();
        let found = found.as_ref().map(|(user, password)| (user.as_str(), password.as_str()));
        assert_eq!(found, expected, "{user}");
    }
}

/// What stood before it was taken for host and port, dialed and logged.
#[test]
fn a_password_with_a_slash_is_no_place() {
    for (escaped, plain) in [("%2F", "/"), ("%3F", "?"), ("%23", "#")] {
        let url = |slash| format!("http://user:12{slash}34@proxy:3128");
        assert!(to_store(&[("all_proxy", &url(plain))], true).is_err(), "{plain}");
        let proxy = to_store(&[("all_proxy", &url(escaped))], true).unwrap().unwrap();
        assert_eq!(proxy.to_string(), "proxy:3128");
    }
}

#[test]
fn what_names_no_proxy_is_refused_and_not_shown() {
    let url =
        "HTTPS_PROXY is not the URL of a proxy, which is http://HOST:PORT or http://USER:PASSWORD@HOST:PORT";
    let scheme =
        |scheme| format!("HTTPS_PROXY names a proxy of {scheme}://, the agent knows proxies of http:// only");
    for (value, expected) in [
        ("https://secret@proxy:3128", scheme("https")),
        ("socks5://secret@proxy:1080", scheme("socks5")),
        ("SOCKS5H://secret@proxy:1080", scheme("socks5h")),
        ("user:secret@socks5://proxy", url.to_owned()),
        ("http://", url.to_owned()),
        ("http://secret@", url.to_owned()),
        ("http://secret@:3128", url.to_owned()),
        ("http://secret@proxy:0", url.to_owned()),
        ("http://secret@proxy:65536", url.to_owned()),
        ("http://secret@proxy:http", url.to_owned()),
        ("http://secret@[::1:3128", url.to_owned()),
        ("http://secret@2001:db8::1", url.to_owned()),
        ("http://secret@two proxies:3128", url.to_owned()),
        ("http://user:12/secret@proxy:3128", url.to_owned()),
        ("http://user:12?secret@proxy:3128", url.to_owned()),
        ("user:12#secret@proxy:3128", url.to_owned()),
        ("http://user/12:secret@proxy:3128/", url.to_owned()),
        ("http://secret%@proxy:3128", url.to_owned()),
        ("http://secret%4@proxy:3128", url.to_owned()),
        ("http://secret%4g@proxy:3128", url.to_owned()),
        ("http://secret%+4@proxy:3128", url.to_owned()),
    ] {
        let found = to_store(&[("HTTPS_PROXY", value)], true);
        assert_eq!(found.unwrap_err().to_string(), expected, "{value}");
        let shown = format!("{:?}", proxies(&[("HTTPS_PROXY", value)]));
        assert!(!shown.contains("secret") && shown.contains("HTTPS_PROXY"), "{shown}");
    }
    let bytes = Proxies::read(|name| (name == "HTTPS_PROXY").then(|| OsStr::from_bytes(b"\xff").to_owned()));
    assert_eq!(bytes.choose("store.example", 443, true).unwrap_err().to_string(), url);
}
