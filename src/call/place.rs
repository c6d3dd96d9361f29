//! Where the calls of a backend go: an API, or another MCP server.

use std::fmt;

use url::Url;

use super::BaseUrl;

/// Where the calls of a backend go.
#[derive(Debug, Clone)]
pub enum BackendPlace {
    /// Requests of an API are below this URL.
    Api(BaseUrl),
    /// A server that is started.
    Process(ProcessPlace),
    /// A server at this URL.
    Server(Url),
}

/// The program of a server, and its arguments.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ProcessPlace {
    /// The program, as it is named.
    pub program: String,
    /// Its arguments.
    pub args: Vec<String>,
}

impl BackendPlace {
    /// Returns the URL below which requests are; `None` for a server.
    pub fn base(&self) -> Option<&BaseUrl> {
        match self {
            Self::Api(base) => Some(base),
            Self::Process(_) | Self::Server(_) => None,
        }
    }
}

/// Writes the place for people: a command as one would type it, and of the URL of a server what says
/// where it is, since a query may hold anything.
impl fmt::Display for BackendPlace {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Api(base) => formatter.write_str(base.as_str()),
            Self::Process(ProcessPlace { program, args }) => {
                formatter.write_str(program)?;
                args.iter().try_for_each(|arg| write!(formatter, " {arg}"))
            }
            Self::Server(url) => {
                write!(formatter, "{}{}", url.origin().ascii_serialization(), url.path())
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_place_says_where_it_is_and_no_more() {
        let url = "https://user:secret@mcp.example.com:8443/team/mcp?key=secret#part";
        let server = BackendPlace::Server(Url::parse(url).unwrap());
        assert_eq!(server.to_string(), "https://mcp.example.com:8443/team/mcp");
        let args = ["-y".to_owned(), "some-server".to_owned()].into();
        let process = BackendPlace::Process(ProcessPlace { program: "npx".to_owned(), args });
        assert_eq!(process.to_string(), "npx -y some-server");
        assert!(process.base().is_none());
        let api = BackendPlace::Api(BaseUrl::parse("https://api.example.com/v1").unwrap());
        assert_eq!(api.to_string(), api.base().unwrap().as_str());
    }
}
