//! The stable codes of findings, each with the sentence that `docs/checks.md` has as its title.
//!
//! A code is never reused for another rule. The groups: `D0xx` the form of the file, `D1xx` the
//! document, `D2xx` authentication, `D3xx` tools and parameters, `D4xx` answers, `D5xx`
//! references between parts of the file, `D6xx` composites, `D7xx` what authors and reviewers look
//! for, `D9xx` what this version does not support.

use crate::diagnostic::RuleCode;

macro_rules! codes {
    ($($name:ident = $code:literal, $title:literal;)*) => {
        $(#[doc = $title] pub const $name: RuleCode = RuleCode($code);)*

        /// Every code with its title, in order.
        pub const ALL: &[(RuleCode, &str)] = &[$(($name, $title)),*];
    };
}

codes! {
    UNREADABLE = "D001", "The file cannot be read as text";
    NOT_YAML = "D002", "The file is not YAML";
    DUPLICATE_KEY = "D003", "A key occurs twice";
    TOO_COMPLEX = "D004", "The file has too many values or nests too deeply";
    MERGE_KEY = "D005", "A merge key is used";
    WRONG_TYPE = "D006", "A value has the wrong type";
    UNQUOTED = "D007", "Text is written without quotes and reads as another type";
    UNKNOWN_KEY = "D008", "A key is not known";
    MISSING_KEY = "D009", "A required key is missing";
    UNKNOWN_VALUE = "D010", "A value is not one of the allowed ones";

    SPEC = "D101", "The specification URL is not known";
    BACKEND_NAME = "D102", "The name of the backend is not well formed";
    FORM = "D103", "A version, date or URL is not well formed";
    BASE_URL = "D104", "The base URL cannot be used";
    NO_TOOLS = "D105", "The backend has no tools";
    NEWER_FEATURE = "D106", "A feature is newer than the declared specification";
    IGNORED = "D107", "A key only documents and is ignored";
    NO_DESCRIPTION = "D108", "A description is missing or empty";
    UNDECLARED_FEATURE = "D109", "A feature is used that the file does not require";
    INCLUDE = "D110", "A fragment cannot be read";
    MERGE_TARGET = "D111", "A fragment cannot be merged where the file says";
    FRAGMENT = "D112", "A fragment is not well formed";
    OPENAPI = "D113", "The OpenAPI document is of no use";

    FOREIGN_AUTH_KEY = "D201", "A key does not belong to this type of authentication";
    AUTH_HEADER = "D202", "The credential cannot be put where the descriptor says";
    CREDENTIAL_NAME = "D203", "The name of a credential is not usable";
    LOGIN_URL = "D204", "A URL of the login cannot be used";
    AUTHORIZATION_PARAM = "D205", "An authorization parameter belongs to the program";
    SCOPE = "D206", "A scope is not well formed";
    LOGIN_REQUEST = "D207", "The login request cannot be built";
    LOGIN_LITERAL = "D208", "A secret of the login is written out";
    SESSION_PLACEHOLDER = "D209", "A placeholder of a session is not extracted";
    UNUSED_EXTRACT = "D210", "An extracted value is not used";
    SESSION_REFRESH = "D211", "A way to refresh a session is not known";

    PLACEHOLDER = "D301", "A placeholder has no path parameter";
    UNUSED_PATH_PARAM = "D302", "A path parameter has no placeholder";
    PATH = "D303", "A path leaves the base URL or is not well formed";
    TOOL_NAME = "D304", "The name of a tool or parameter is not well formed";
    DEFAULT_TYPE = "D305", "A default value does not fit its parameter";
    HEADER_PARAM = "D306", "A header cannot be set by a descriptor";
    OPTIONAL_PATH_PARAM = "D307", "A path parameter is declared optional";
    RAW_BODY = "D308", "A raw body cannot be built from these parameters";
    CONTENT_TYPE = "D309", "A content type is not well formed";
    MULTIPART = "D310", "A multipart type is not form-data";
    FILE_TYPE = "D311", "A file has no content type of its own";
    FILE_PLACE = "D312", "A file is not in the body";

    JSON_PATH = "D401", "An expression is not JSONPath";
    INERT = "D402", "A setting has no effect";
    DURATION = "D403", "A duration is not well formed";
    SIZE = "D404", "A size is not well formed";
    STATUS = "D405", "A number is not an HTTP status";
    RETRY_CONFLICT = "D406", "A status is both retried and terminal";
    ERROR_MAP = "D407", "A key of the error map is not a 3xx, 4xx or 5xx status";
    RANGE = "D408", "A number is out of range";

    TRANSFORM = "D410", "A transform is not a jq program";
    TRANSFORM_PATH = "D411", "A transform repeats the path that was taken already";
    RESPONSE_TYPE = "D415", "The type of a response is not known";
    FILE_TTL = "D416", "A time to live has no file";
    FILE_RULE = "D417", "A rule looks into an answer that is saved to a file";
    FILE_REDACTION = "D418", "Nothing can be hidden in a file";

    UNKNOWN_TOOL = "D501", "A tool that is referred to does not exist";
    HINT_VALUE = "D502", "A hint is not a single value";
    COVERAGE = "D503", "The coverage does not count the tools";
    UNLISTED_PARAM = "D504", "An unlisted parameter does not exist or is required";
    HEALTH_PARAMS = "D505", "The tool of the health check needs an argument";
    HEALTH = "D506", "A health check is not well formed";
    HEALTH_NAME = "D507", "A tool has the name of the health check";
    UNKNOWN_TYPE = "D508", "A type that is referred to does not exist";
    SCHEMA = "D509", "A schema is not well formed";
    HEALTH_SAFE = "D510", "The health check may change something";

    SAME_OPERATION = "D701", "Two tools send the same request";
    UNLIMITED_LIST = "D702", "Nothing limits a list";
    SECRET = "D703", "A secret is written into the file";
    ORDERS = "D704", "A text gives orders to the model";
    POST_READ = "D705", "A POST is marked as reading";
    DELETE_READ = "D706", "A DELETE is marked as reading";
    NO_ACCESS = "D707", "A tool has no access level";
    CASE = "D708", "Two names differ only by case";
    SPELLING = "D709", "A value has another spelling in the specification";
    NOT_FOUND = "D710", "Nobody finds a tool by its words";
    ALIKE = "D711", "Two tools are alike in all words";

    TASK_START = "D720", "Nothing shows that a task began";
    TASK_CALL = "D721", "A call for a task cannot be made";
    TASK_STATE = "D722", "The states of a task are not well formed";
    TASK_WAIT = "D723", "The waits for a task are not well formed";
    TASK_TOOL = "D724", "No tool begins a task";
    TASK_REDACTION = "D725", "What a tool hides can be read from its task";
    TASK_SAFE = "D726", "Watching a task may change something";
    TASK_OUTCOME = "D727", "What became of a task cannot be found out";
    SETTLES = "D728", "What was written cannot be looked for";
    ENTRIES = "D729", "What the entries of a log tell cannot be told";
    UPLOAD_TOOL = "D730", "A rule for uploads names no tool that sends a file";
    UPLOAD_SIZE = "D731", "The length of an upload cannot be looked up";
    EVENTS_STREAM = "D740", "The stream of the events cannot be opened";
    EVENTS_SUBSCRIBE = "D741", "A subscription to events is not well formed";
    EVENTS_OBJECT = "D742", "Events do not say which resource changed";
    EVENTS_SCHEME = "D743", "The scheme of resources cannot be used";
    EVENTS_READER = "D744", "A resource cannot be read";
    JSONRPC = "D750", "`jsonrpc` and the type of the backend do not fit";
    RPC_METHOD = "D751", "The name of a JSON-RPC method is missing or not well formed";
    RPC_KEY = "D752", "A key has no meaning in a JSON-RPC request";
    REST_RPC = "D753", "A tool of a REST API names a JSON-RPC method";
    RPC_PARAM = "D754", "A parameter cannot be a member of `params`";
    RPC_CODE = "D755", "A key of `jsonrpc.errors` is not the code of an error";
    VALUE_SCHEMA = "D756", "What is said about the values of a parameter is of no use";
    LOGINS = "D760", "A login to choose from is not well formed";
    CREDENTIAL_REFUSED = "D761", "A refusal of the credential cannot be told from others";
    ERROR_RULES = "D762", "A rule about errors says nothing";
    RATE_LIMIT = "D763", "A rate limit is out of range";
    OMIT_FALSE = "D764", "A parameter that is left out when it is false does not exist";
    SWITCH = "D765", "Nothing tells the API that a call comes through MCP";
    SWITCH_OFF = "D766", "An answer does not say clearly that MCP is off";
    SWITCH_STATE = "D767", "The state of the switch cannot be asked for";
    REQUEST_NAME = "D770", "What is said about requests names no tool, parameter or media type";
    REQUEST_TYPE = "D771", "The type of a parameter is not one that a request can have";
    REQUEST_STYLE = "D772", "A style does not fit its parameter";
    REQUEST_FORM = "D773", "A body, a query or a cookie cannot be built as the extension says";
    CREDENTIALS = "D774", "What is said about the credential fits no tool or no other credential";
    FIT = "D775", "What a server has cannot be told";
    FIT_TOOL = "D776", "What is said about a tool that servers may lack is of no use";
    EFFECT = "D777", "What is said about effects fits no tool";
    FILTERS = "D780", "What is said about filters is of no use";
    CHOICES = "D781", "The words that a parameter may have are not listed";
    SHOWN = "D782", "What is said about what models get fits no result";
    SHOWN_REQUIRED = "D783", "A member that results must have is left out";
    PREVIEW = "D784", "A person cannot be shown what a call is about";
    KEYWORDS = "D785", "What people say leads to no tool";
    PREVIEW_COMPOSITE = "D804", "A composite that a person is shown may leave something behind";
    UNLISTED_COMPOSITE = "D805", "What is kept out of lists is no composite that looks";
    UNLISTED_UNREAD = "D806", "A composite that no list has is read by nothing";

    SCRIPT = "D601", "The code of a composite cannot be run";
    SCRIPT_CALL = "D602", "A composite calls what is no tool";
    SCRIPT_TIMEOUT = "D603", "A composite may not run that long";
    NAME_TAKEN = "D604", "A composite has the name of a tool";
    SCRIPT_ACCESS = "D605", "A composite that changes something has no access level";
    NOT_DELEGATED = "D606", "A composite calls a dangerous tool that it does not delegate";

    MISSING_FEATURE = "D902", "A required feature is not supported by this version";
}
