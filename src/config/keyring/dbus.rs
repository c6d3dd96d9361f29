//! As much of D-Bus as the Secret Service takes: method calls on the socket of a session bus, one after
//! another, and a signal that one of them leads to (D-Bus Specification, version 0.43).
//!
//! A whole library for that was a twentieth of the time of a build and half a megabyte of the program. Every
//! read and write has a deadline, a message and the signals that nobody waited for have bounds, and
//! nothing that a bus sends is taken for what it says it is before its bytes are there.

use std::{
    io::{self, Read as _, Write as _},
    os::unix::net::{SocketAddr, UnixStream},
    path::Path,
    time::{Duration, Instant},
};

use dadl_text::text::{cut_text, one_line, shown_text};
use percent_encoding::percent_decode_str;

/// Longer messages than this are no answer of a keyring.
const MOST_MESSAGE: usize = 4 << 20;
/// So many signals are kept for those who will ask for one.
const MOST_SIGNALS: usize = 64;
/// A line of the handshake is no longer.
const MOST_LINE: usize = 1024;
/// What is shown of a text of others.
const MOST_TEXT: usize = 300;

const BUS: &str = "org.freedesktop.DBus";

const METHOD_CALL: u8 = 1;
const METHOD_RETURN: u8 = 2;
const ERROR: u8 = 3;
const SIGNAL: u8 = 4;

/// Why there is no answer.
#[derive(Debug, thiserror::Error)]
pub(super) enum BusError {
    /// Nothing came in time.
    #[error("nothing came in time")]
    Timeout,
    /// The socket.
    #[error("{0}")]
    Socket(io::Error),
    /// Not D-Bus, or not what was asked for.
    #[error("the bus sent {0}")]
    Unexpected(&'static str),
    /// An error of the one who was called: its name and what it says.
    #[error("{0}: {1}")]
    Answer(String, String),
}

impl From<io::Error> for BusError {
    fn from(error: io::Error) -> Self {
        match error.kind() {
            io::ErrorKind::WouldBlock | io::ErrorKind::TimedOut => Self::Timeout,
            _ => Self::Socket(error),
        }
    }
}

/// A connection to a bus.
pub(super) struct Connection {
    stream: UnixStream,
    until: Instant,
    serial: u32,
    signals: Vec<Message>,
}

/// A message that came; the texts are empty where it has none.
#[derive(Default)]
pub(super) struct Message {
    kind: u8,
    big_endian: bool,
    reply_to: u32,
    path: String,
    interface: String,
    member: String,
    error: String,
    sender: String,
    body: Vec<u8>,
}

/// What is called.
#[derive(Clone, Copy)]
pub(super) struct Method<'a> {
    pub(super) destination: &'a str,
    pub(super) path: &'a str,
    pub(super) interface: &'a str,
    pub(super) name: &'a str,
}

impl Connection {
    /// Connects to the first address of `addresses` (`unix:path=/run/user/1000/bus;unix:abstract=/tmp/x`) that
    /// takes it, and says hello; everything has to be done by `until`.
    pub(super) fn open(addresses: &str, user: u32, until: Instant) -> Result<Self, BusError> {
        let mut failure = BusError::Unexpected("no address");
        for address in addresses.split(';').filter(|it| !it.is_empty()) {
            match connected(address) {
                Ok(stream) => {
                    let mut bus = Self { stream, until, serial: 0, signals: Vec::new() };
                    bus.authenticate(user)?;
                    bus.call(bus_method("Hello"), "", &Writer::default())?;
                    return Ok(bus);
                }
                Err(error) => failure = BusError::Socket(error),
            }
        }
        Err(failure)
    }

    /// The mechanism EXTERNAL: the kernel says who is at the other end.
    fn authenticate(&mut self, user: u32) -> Result<(), BusError> {
        let identity: String = user.to_string().bytes().map(|it| format!("{it:02x}")).collect();
        self.write(format!("\0AUTH EXTERNAL {identity}\r\n").as_bytes())?;
        let mut line = Vec::new();
        while !line.ends_with(b"\r\n") {
            let mut byte = [0];
            self.read(&mut byte)?;
            line.extend(byte);
            if line.len() > MOST_LINE {
                return Err(BusError::Unexpected("no line of its handshake"));
            }
        }
        if !line.starts_with(b"OK ") {
            return Err(BusError::Unexpected("a refusal of this user"));
        }
        self.write(b"BEGIN\r\n")
    }

    /// Calls a method with `body`, whose types are `signature`, and waits for the answer.
    pub(super) fn call(
        &mut self,
        method: Method<'_>,
        signature: &str,
        body: &Writer,
    ) -> Result<Message, BusError> {
        self.serial += 1;
        let serial = self.serial;
        self.write(&written(method, serial, signature, body))?;
        loop {
            let message = self.receive()?;
            match message.kind {
                METHOD_RETURN if message.reply_to == serial => return Ok(message),
                ERROR if message.reply_to == serial => return Err(message.answered()),
                _ => self.keep(message),
            }
        }
    }

    /// Asks the bus for signals.
    pub(super) fn subscribe(&mut self, signal: Method<'_>) -> Result<(), BusError> {
        let Method { destination, path, interface, name } = signal;
        let rule = format!(
            "type='signal',sender='{destination}',path='{path}',interface='{interface}',member='{name}'"
        );
        let mut body = Writer::default();
        body.text(&rule);
        self.call(bus_method("AddMatch"), "s", &body).map(|_| ())
    }

    /// Waits for a signal of the one who sent `answer`.
    pub(super) fn signal(
        &mut self,
        wanted: Method<'_>,
        answer: &Message,
    ) -> Result<Message, BusError> {
        let is_wanted = |it: &Message| {
            it.kind == SIGNAL
                && it.sender == answer.sender
                && it.path == wanted.path
                && it.interface == wanted.interface
                && it.member == wanted.name
        };
        if let Some(place) = self.signals.iter().position(is_wanted) {
            return Ok(self.signals.swap_remove(place));
        }
        loop {
            let message = self.receive()?;
            if is_wanted(&message) {
                return Ok(message);
            }
        }
    }

    fn keep(&mut self, message: Message) {
        if message.kind == SIGNAL && self.signals.len() < MOST_SIGNALS {
            self.signals.push(message);
        }
    }

    fn receive(&mut self) -> Result<Message, BusError> {
        let mut start = [0; 16];
        self.read(&mut start)?;
        let [order, kind, _, version, ..] = start;
        let big_endian = order == b'B';
        if version != 1 || !(big_endian || order == b'l') {
            return Err(BusError::Unexpected("something else than a message"));
        }
        let mut lengths = Reader::new(&start, big_endian);
        lengths.at = 4;
        let body = lengths.number()? as usize;
        lengths.number()?;
        let fields = lengths.number()? as usize;
        if fields.saturating_add(body) > MOST_MESSAGE {
            return Err(BusError::Unexpected("a message that is too long"));
        }
        // Where the fields begin, is a multiple of eight; where they end, is made one.
        let mut head = vec![0; fields.next_multiple_of(8)];
        self.read(&mut head)?;
        head.truncate(fields);
        let mut message = Message { kind, big_endian, body: vec![0; body], ..Message::default() };
        self.read(&mut message.body)?;
        message.take_fields(&head)?;
        Ok(message)
    }

    fn read(&mut self, into: &mut [u8]) -> Result<(), BusError> {
        let mut filled = 0;
        while let Some(rest) = into.get_mut(filled..).filter(|rest| !rest.is_empty()) {
            self.stream.set_read_timeout(Some(self.left()?))?;
            match self.stream.read(rest) {
                Ok(0) => return Err(BusError::Unexpected("nothing more")),
                Ok(count) => filled += count,
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Err(error.into()),
            }
        }
        Ok(())
    }

    fn write(&mut self, mut bytes: &[u8]) -> Result<(), BusError> {
        while !bytes.is_empty() {
            self.stream.set_write_timeout(Some(self.left()?))?;
            match self.stream.write(bytes) {
                Ok(count) => bytes = bytes.get(count..).unwrap_or_default(),
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Err(error.into()),
            }
        }
        Ok(())
    }

    fn left(&self) -> Result<Duration, BusError> {
        let left = self.until.saturating_duration_since(Instant::now());
        if left.is_zero() { Err(BusError::Timeout) } else { Ok(left) }
    }
}

fn bus_method(name: &str) -> Method<'_> {
    Method { destination: BUS, path: "/org/freedesktop/DBus", interface: BUS, name }
}

/// Connects to one address.
fn connected(address: &str) -> io::Result<UnixStream> {
    let Some(("unix", keys)) = address.split_once(':') else {
        return Err(io::Error::other("no address of a socket of this machine"));
    };
    for (key, value) in keys.split(',').filter_map(|it| it.split_once('=')) {
        let value = percent_decode_str(value).collect::<Vec<u8>>();
        match key {
            "path" => {
                use std::os::unix::ffi::OsStrExt as _;
                return UnixStream::connect(Path::new(std::ffi::OsStr::from_bytes(&value)));
            }
            "abstract" => return UnixStream::connect_addr(&abstract_name(&value)?),
            _ => {}
        }
    }
    Err(io::Error::other("no `path` and no `abstract` in the address"))
}

#[cfg(target_os = "linux")]
fn abstract_name(name: &[u8]) -> io::Result<SocketAddr> {
    use std::os::linux::net::SocketAddrExt as _;
    SocketAddr::from_abstract_name(name)
}

#[cfg(not(target_os = "linux"))]
fn abstract_name(_: &[u8]) -> io::Result<SocketAddr> {
    Err(io::Error::other("this system has no abstract sockets"))
}

/// Returns the bytes of a call.
fn written(method: Method<'_>, serial: u32, signature: &str, body: &Writer) -> Vec<u8> {
    let mut message = Writer::default();
    message.bytes.extend([b'l', METHOD_CALL, 0, 1]);
    message.number(body.bytes.len().try_into().unwrap_or(u32::MAX));
    message.number(serial);
    message.array(8, |fields| {
        let texts = [
            (1, "o", method.path),
            (2, "s", method.interface),
            (3, "s", method.name),
            (6, "s", method.destination),
        ];
        for (code, kind, text) in texts {
            fields.align(8);
            fields.bytes.push(code);
            fields.signature(kind);
            fields.text(text);
        }
        if !signature.is_empty() {
            fields.align(8);
            fields.bytes.push(8);
            fields.signature("g");
            fields.signature(signature);
        }
    });
    message.align(8);
    message.bytes.extend(&body.bytes);
    message.bytes
}

impl Message {
    /// Reads what was sent.
    pub(super) fn reader(&self) -> Reader<'_> {
        Reader::new(&self.body, self.big_endian)
    }

    fn take_fields(&mut self, head: &[u8]) -> Result<(), BusError> {
        let mut fields = Reader::new(head, self.big_endian);
        while fields.at < head.len() {
            fields.align(8);
            let code = fields.byte()?;
            let kind = fields.signature()?;
            match (code, kind) {
                (1, "o") => fields.text()?.clone_into(&mut self.path),
                (2, "s") => fields.text()?.clone_into(&mut self.interface),
                (3, "s") => fields.text()?.clone_into(&mut self.member),
                (4, "s") => fields.text()?.clone_into(&mut self.error),
                (5, "u") => self.reply_to = fields.number()?,
                (7, "s") => fields.text()?.clone_into(&mut self.sender),
                (_, kind) => fields.skip(kind)?,
            }
        }
        Ok(())
    }

    /// The error that this is.
    fn answered(&self) -> BusError {
        let clean = |text: &str| cut_text(&one_line(&shown_text(text)), MOST_TEXT).into_owned();
        BusError::Answer(clean(&self.error), clean(self.reader().text().unwrap_or_default()))
    }
}

/// Writes values; the first byte is where a multiple of eight is.
#[derive(Default)]
pub(super) struct Writer {
    bytes: Vec<u8>,
}

impl Writer {
    fn align(&mut self, to: usize) {
        self.bytes.resize(self.bytes.len().next_multiple_of(to), 0);
    }

    fn number(&mut self, number: u32) {
        self.align(4);
        self.bytes.extend(number.to_le_bytes());
    }

    /// A string (`s`) or a path (`o`).
    pub(super) fn text(&mut self, text: &str) {
        self.number(text.len().try_into().unwrap_or(u32::MAX));
        self.bytes.extend(text.as_bytes());
        self.bytes.push(0);
    }

    /// What a variant begins with.
    pub(super) fn signature(&mut self, signature: &str) {
        self.bytes.push(signature.len().try_into().unwrap_or(u8::MAX));
        self.bytes.extend(signature.as_bytes());
        self.bytes.push(0);
    }

    pub(super) fn boolean(&mut self, value: bool) {
        self.number(value.into());
    }

    /// An array (`ay`) of bytes.
    pub(super) fn blob(&mut self, blob: &[u8]) {
        self.number(blob.len().try_into().unwrap_or(u32::MAX));
        self.bytes.extend(blob);
    }

    /// An array of what begins at multiples of `alignment`.
    pub(super) fn array(&mut self, alignment: usize, items: impl FnOnce(&mut Self)) {
        self.number(0);
        let place = self.bytes.len() - 4;
        self.align(alignment);
        let start = self.bytes.len();
        items(self);
        let length = u32::try_from(self.bytes.len() - start).unwrap_or(u32::MAX);
        if let Some(there) = self.bytes.get_mut(place..place + 4) {
            there.copy_from_slice(&length.to_le_bytes());
        }
    }

    /// Where a structure or an entry of a dictionary begins.
    pub(super) fn structure(&mut self) {
        self.align(8);
    }
}

/// Reads values.
pub(super) struct Reader<'a> {
    bytes: &'a [u8],
    at: usize,
    big_endian: bool,
}

const SHORT: BusError = BusError::Unexpected("less than it said");

impl<'a> Reader<'a> {
    fn new(bytes: &'a [u8], big_endian: bool) -> Self {
        Self { bytes, at: 0, big_endian }
    }

    fn align(&mut self, to: usize) {
        self.at = self.at.next_multiple_of(to);
    }

    fn take(&mut self, count: usize) -> Result<&'a [u8], BusError> {
        let end = self.at.checked_add(count).ok_or(SHORT)?;
        let taken = self.bytes.get(self.at..end).ok_or(SHORT)?;
        self.at = end;
        Ok(taken)
    }

    fn byte(&mut self) -> Result<u8, BusError> {
        self.take(1)?.first().copied().ok_or(SHORT)
    }

    fn number(&mut self) -> Result<u32, BusError> {
        self.align(4);
        let bytes: [u8; 4] = self.take(4)?.try_into().map_err(|_| SHORT)?;
        Ok(if self.big_endian { u32::from_be_bytes(bytes) } else { u32::from_le_bytes(bytes) })
    }

    pub(super) fn boolean(&mut self) -> Result<bool, BusError> {
        Ok(self.number()? != 0)
    }

    /// A string or a path.
    pub(super) fn text(&mut self) -> Result<&'a str, BusError> {
        let length = self.number()? as usize;
        let text = self.take(length)?;
        self.byte()?;
        std::str::from_utf8(text).map_err(|_| BusError::Unexpected("a text that is none"))
    }

    fn signature(&mut self) -> Result<&'a str, BusError> {
        let length = self.byte()?.into();
        let text = self.take(length)?;
        self.byte()?;
        std::str::from_utf8(text).map_err(|_| BusError::Unexpected("types that are none"))
    }

    /// An array of bytes.
    pub(super) fn blob(&mut self) -> Result<&'a [u8], BusError> {
        let length = self.number()? as usize;
        self.take(length)
    }

    /// An array of paths.
    pub(super) fn paths(&mut self) -> Result<Vec<String>, BusError> {
        let length = self.number()? as usize;
        let mut items = Reader::new(self.bytes, self.big_endian);
        items.at = self.at;
        self.take(length)?;
        let mut paths = Vec::new();
        while items.at < self.at {
            paths.push(items.text()?.to_owned());
        }
        Ok(paths)
    }

    /// Where a structure begins.
    pub(super) fn structure(&mut self) {
        self.align(8);
    }

    /// Passes over a variant.
    pub(super) fn skip_variant(&mut self) -> Result<(), BusError> {
        let signature = self.signature()?;
        self.skip(signature)
    }

    fn skip(&mut self, signature: &str) -> Result<(), BusError> {
        match signature.as_bytes() {
            [b'y'] => self.byte().map(|_| ()),
            [b'b' | b'i' | b'u' | b'h'] => self.number().map(|_| ()),
            [b's' | b'o'] => self.text().map(|_| ()),
            [b'g'] => self.signature().map(|_| ()),
            [b'a', item, ..] => {
                let length = self.number()? as usize;
                self.align(if matches!(item, b'x' | b't' | b'd' | b'(' | b'{') { 8 } else { 1 });
                self.take(length).map(|_| ())
            }
            _ => Err(BusError::Unexpected("a type that a keyring has no use for")),
        }
    }
}

#[cfg(test)]
mod tests;
