//! The codes of what only the API refuses.

use forebay_model::{Class, Code};

const fn fatal(name: &'static str, meaning: &'static str) -> Code {
    Code { name, class: Class::Fatal, meaning }
}

/// No such thing.
pub const NOT_FOUND: Code =
    fatal("api.not_found", "there is nothing at this path, or no document of this name");
/// Not with this method.
pub const METHOD: Code = fatal("api.method_not_allowed", "the path exists, and not with this method");
/// A body that cannot be read.
pub const BAD_BODY: Code =
    fatal("api.bad_body", "the request's body is not JSON (or YAML, where it says so)");
/// A body that is too long.
pub const TOO_LARGE: Code = fatal("api.too_large", "the request's body is longer than is read");
/// A query or header that cannot be read.
pub const BAD_REQUEST: Code =
    fatal("api.bad_request", "a parameter or a header of the request has no meaning here");
/// A token is needed.
pub const UNAUTHORIZED: Code =
    fatal("api.unauthorized", "the server wants an access token, and this is not it");
/// A name that is not this server's.
pub const FOREIGN_HOST: Code = fatal(
    "api.foreign_host",
    "the request was sent to a name that is not this server's; a web page could have been made to do that",
);
/// A web page of somebody else.
pub const FOREIGN_ORIGIN: Code =
    fatal("api.foreign_origin", "the request comes from a web page that this server did not serve");
/// Too many tails.
pub const TOO_MANY_TAILS: Code = Code {
    name: "api.too_many_tails",
    class: Class::Retryable,
    meaning: "as many tails are open as the server allows; close one",
};
/// Too many previews.
pub const TOO_MANY_PREVIEWS: Code = Code {
    name: "api.too_many_previews",
    class: Class::Retryable,
    meaning: "as many previews run as the server has memory for; try again when one is done, in half a minute at most",
};

/// Every code of the API.
pub const ALL: &[Code] = &[
    NOT_FOUND,
    METHOD,
    BAD_BODY,
    TOO_LARGE,
    BAD_REQUEST,
    UNAUTHORIZED,
    FOREIGN_HOST,
    FOREIGN_ORIGIN,
    TOO_MANY_TAILS,
    TOO_MANY_PREVIEWS,
];
