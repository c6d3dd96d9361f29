//! Content types by the extension of a file (IANA media types).

/// What is said of bytes that nobody knows (RFC 2046, section 4.5.1).
pub(crate) const UNKNOWN: &str = "application/octet-stream";

/// The extensions that servers decide by, in lower case.
const BY_EXTENSION: &[(&str, &str)] = &[
    ("7z", "application/x-7z-compressed"),
    ("avif", "image/avif"),
    ("bmp", "image/bmp"),
    ("bz2", "application/x-bzip2"),
    ("css", "text/css"),
    ("csv", "text/csv"),
    ("doc", "application/msword"),
    ("docx", "application/vnd.openxmlformats-officedocument.wordprocessingml.document"),
    ("epub", "application/epub+zip"),
    ("flac", "audio/flac"),
    ("gif", "image/gif"),
    ("gz", "application/gzip"),
    ("heic", "image/heic"),
    ("htm", "text/html"),
    ("html", "text/html"),
    ("ico", "image/vnd.microsoft.icon"),
    ("ics", "text/calendar"),
    ("jpeg", "image/jpeg"),
    ("jpg", "image/jpeg"),
    ("js", "text/javascript"),
    ("json", "application/json"),
    ("jsonl", "application/jsonl"),
    ("m4a", "audio/mp4"),
    ("md", "text/markdown"),
    ("mov", "video/quicktime"),
    ("mp3", "audio/mpeg"),
    ("mp4", "video/mp4"),
    ("odp", "application/vnd.oasis.opendocument.presentation"),
    ("ods", "application/vnd.oasis.opendocument.spreadsheet"),
    ("odt", "application/vnd.oasis.opendocument.text"),
    ("ogg", "audio/ogg"),
    ("pdf", "application/pdf"),
    ("png", "image/png"),
    ("ppt", "application/vnd.ms-powerpoint"),
    ("pptx", "application/vnd.openxmlformats-officedocument.presentationml.presentation"),
    ("rtf", "application/rtf"),
    ("svg", "image/svg+xml"),
    ("tar", "application/x-tar"),
    ("tgz", "application/gzip"),
    ("tif", "image/tiff"),
    ("tiff", "image/tiff"),
    ("tsv", "text/tab-separated-values"),
    ("txt", "text/plain"),
    ("vcf", "text/vcard"),
    ("wav", "audio/wav"),
    ("webm", "video/webm"),
    ("webp", "image/webp"),
    ("xls", "application/vnd.ms-excel"),
    ("xlsx", "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet"),
    ("xml", "application/xml"),
    ("yaml", "application/yaml"),
    ("yml", "application/yaml"),
    ("zip", "application/zip"),
    ("zst", "application/zstd"),
];

/// Returns the content type of a file with this name.
pub(crate) fn of_name(name: &str) -> &'static str {
    let Some((_, extension)) = name.rsplit_once('.') else { return UNKNOWN };
    let extension = extension.to_ascii_lowercase();
    let found = BY_EXTENSION.binary_search_by(|(known, _)| (*known).cmp(extension.as_str()));
    found.ok().and_then(|at| BY_EXTENSION.get(at)).map_or(UNKNOWN, |(_, media_type)| media_type)
}

/// The extension that a type has where the table knows several or none, in the order of the types.
const BY_TYPE: &[(&str, &str)] = &[
    ("application/csv", "csv"),
    ("application/graphql", "graphql"),
    ("application/gzip", "gz"),
    ("application/javascript", "js"),
    ("application/json-seq", "jsonl"),
    ("application/jsonlines", "jsonl"),
    ("application/ndjson", "jsonl"),
    ("application/toml", "toml"),
    ("application/vnd.rar", "rar"),
    ("application/x-gzip", "gz"),
    ("application/x-iso9660-image", "iso"),
    ("application/x-javascript", "js"),
    ("application/x-jsonlines", "jsonl"),
    ("application/x-ndjson", "jsonl"),
    ("application/x-pem-file", "pem"),
    ("application/x-rar-compressed", "rar"),
    ("application/x-xz", "xz"),
    ("application/x-yaml", "yaml"),
    ("application/x-zip-compressed", "zip"),
    ("application/xhtml+xml", "xhtml"),
    ("application/yaml", "yaml"),
    ("audio/aac", "aac"),
    ("audio/m4a", "m4a"),
    ("audio/mp3", "mp3"),
    ("audio/vnd.wave", "wav"),
    ("audio/wave", "wav"),
    ("audio/webm", "webm"),
    ("audio/x-flac", "flac"),
    ("audio/x-m4a", "m4a"),
    ("audio/x-wav", "wav"),
    ("image/jpeg", "jpg"),
    ("image/jpg", "jpg"),
    ("image/pjpeg", "jpg"),
    ("image/tiff", "tiff"),
    ("image/x-icon", "ico"),
    ("text/html", "html"),
    ("text/json", "json"),
    ("text/vtt", "vtt"),
    ("text/x-markdown", "md"),
    ("text/x-yaml", "yaml"),
    ("text/xml", "xml"),
    ("text/yaml", "yaml"),
    ("video/ogg", "ogv"),
];

/// The extension of a syntax that several types share (RFC 6839), or of all text.
const BY_SYNTAX: &[(&str, &str)] =
    &[("+json", "json"), ("+xml", "xml"), ("+zip", "zip"), ("+gzip", "gz"), ("+yaml", "yaml")];

/// Returns the extension, without a dot, of a file that holds this content type; its parameters do not
/// count. Nothing for bytes that nobody knows.
pub(crate) fn extension_of(content_type: &str) -> Option<&'static str> {
    let essence = content_type.split(';').next().unwrap_or_default().trim().to_ascii_lowercase();
    let named = BY_TYPE.binary_search_by(|(known, _)| (*known).cmp(essence.as_str()));
    if let Some((_, extension)) = named.ok().and_then(|at| BY_TYPE.get(at)) {
        return Some(extension);
    }
    let of_type = |(_, known): &&(&str, &str)| *known == essence;
    if let Some((extension, _)) = BY_EXTENSION.iter().find(of_type) {
        return Some(extension);
    }
    let syntax = BY_SYNTAX.iter().find(|(suffix, _)| essence.ends_with(suffix));
    syntax
        .map(|(_, extension)| *extension)
        .or_else(|| essence.starts_with("text/").then_some("txt"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_type_has_one_extension_and_that_has_the_type() {
        for (content_type, extension) in [
            ("image/png", Some("png")),
            ("Image/JPEG", Some("jpg")),
            ("text/html; charset=utf-8", Some("html")),
            ("text/csv ; header=present", Some("csv")),
            ("application/x-ndjson", Some("jsonl")),
            ("application/problem+json", Some("json")),
            ("image/svg+xml", Some("svg")),
            ("application/atom+xml", Some("xml")),
            ("text/x-python", Some("txt")),
            ("audio/mp4", Some("m4a")),
            (UNKNOWN, None),
            ("binary/octet-stream", None),
            ("nonsense", None),
            ("", None),
        ] {
            assert_eq!(extension_of(content_type), extension, "{content_type}");
        }
        assert!(BY_TYPE.is_sorted_by(|left, right| left.0 < right.0));
        for (_, media_type) in BY_EXTENSION {
            let extension = extension_of(media_type).unwrap();
            assert_eq!(of_name(&format!("a.{extension}")), *media_type);
        }
    }

    #[test]
    fn the_extension_decides() {
        assert_eq!(of_name("a.tar.GZ"), "application/gzip");
        assert_eq!(of_name("zip"), UNKNOWN);
        assert_eq!(of_name("disk.vhd"), UNKNOWN);
        assert_eq!(of_name("x.docx").len(), 71);
    }

    #[test]
    fn the_table_is_in_order_and_holds_media_types() {
        assert!(BY_EXTENSION.is_sorted_by(|left, right| left.0 < right.0));
        for (_, media_type) in BY_EXTENSION {
            assert!(media_type.parse::<mime::Mime>().is_ok(), "{media_type}");
        }
    }
}
