//! Headers that every answer carries, whoever wrote the rest of it.

/// Nothing but this server's own files is loaded, nothing frames or is guessed, no address leaves with a
/// link. Each connection serves one request.
pub(super) const COMMON: &str = "Connection: close\r\n\
    Content-Security-Policy: default-src 'none'; style-src 'self'; script-src 'self'; img-src 'self' data:; \
    connect-src 'self'; form-action 'self'; base-uri 'none'; frame-ancestors 'none'\r\n\
    X-Content-Type-Options: nosniff\r\n\
    Referrer-Policy: no-referrer\r\n";
