//! What is served as it is: the interface's description, and the page for a browser.

/// Every method with its parameters, its results and its faults, as OpenAPI 3.1.
pub const OPENAPI: &str = include_str!("openapi.json");

/// What a browser may do with the page: load what this server has, and ask it.
pub(super) const POLICY: &str = "default-src 'none'; script-src 'self'; style-src 'self'; \
connect-src 'self'; img-src data:; base-uri 'none'; form-action 'none'; frame-ancestors 'none'";

pub(super) const PAGE: &str = include_str!("page/index.html");
pub(super) const SCRIPT: &str = include_str!("page/page.js");
pub(super) const STYLE: &str = include_str!("page/page.css");
