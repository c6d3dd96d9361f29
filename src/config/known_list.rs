//! What other MCP servers listed last, in the cache directory: used where a server is down, slow, or not
//! started before its first call.
//!
//! A list is about one backend and one way to reach its server: its command, arguments and directory, or
//! its URL. Only a digest of these is kept, and of the environment nothing. The list came without secrets,
//! and is as little trusted as when it came. What the list is, whoever keeps it says.
//!
//! **Invariants:** a list that somebody else could have written is not read; a reader sees the old one or
//! the new one; the number and size of lists are bounded.

use std::{
    path::{Path, PathBuf},
    time::{Duration, SystemTime},
};

use dadl_text::text::{text_fingerprint, without_login};
use serde::{Deserialize, Serialize, de::DeserializeOwned};

pub(crate) use super::kept_file::KeptFileError;
use super::{
    BackendSettings,
    kept_file::{Durability, LockWait, lock_folder, make_room, read_kept, write_kept},
    servers::{ServerConnection, StdioSettings},
};

/// A larger file is no list, in bytes: the lists of a server have 16 MB together.
const MOST_BYTES: u64 = 24 * 1024 * 1024;

/// So many lists are kept.
const MOST_LISTS: usize = 256;

/// The form of the file.
const FORM: u32 = 1;

/// Digits of the name of the file.
const DIGITS: usize = 32;

/// A list that says the same is written again after this time.
const FRESH: Duration = Duration::from_secs(60 * 60);

/// Where the list of one server is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct KnownListPlace {
    path: PathBuf,
    /// The digest of what the list is about.
    about: String,
}

/// What a server listed last.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct KnownList<List> {
    /// The list.
    pub(crate) list: List,
    /// When it was listed.
    pub(crate) listed: SystemTime,
}

#[derive(Debug, Serialize)]
struct Writing<'a, List> {
    form: u32,
    about: &'a str,
    /// Seconds since 1970.
    listed: u64,
    list: &'a List,
}

#[derive(Debug, Deserialize)]
struct Written<List> {
    form: u32,
    about: String,
    listed: u64,
    list: List,
}

impl KnownListPlace {
    /// Returns where the list of a backend is, below the cache directory; `None` for an API.
    pub(crate) fn new(cache: &Path, backend: &BackendSettings) -> Option<Self> {
        let server = backend.server.as_deref()?;
        let mut parts = vec![backend.name.clone()];
        match &server.connection {
            ServerConnection::Stdio(StdioSettings { command, args, cwd, .. }) => {
                parts.push("stdio".to_owned());
                parts.push(command.to_string_lossy().into_owned());
                parts.push(cwd.as_deref().unwrap_or(Path::new("")).to_string_lossy().into_owned());
                parts.extend(args.iter().cloned());
            }
            ServerConnection::Http(_) => {
                parts.push("http".to_owned());
                parts.push(without_login(backend.url.as_deref().unwrap_or_default()));
            }
        }
        let about = text_fingerprint(&serde_json::json!([FORM, parts]).to_string());
        let key = about.get(..DIGITS).unwrap_or(&about);
        Some(Self { path: cache.join("lists").join(format!("{key}.json")), about })
    }

    /// Returns the path of the file.
    pub(crate) fn path(&self) -> &Path {
        &self.path
    }

    /// Reads the list.
    ///
    /// # Errors
    ///
    /// There is none, or none that counts.
    pub(crate) fn read<List: DeserializeOwned>(&self) -> Result<KnownList<List>, KeptFileError> {
        let damaged = || KeptFileError::Damaged(self.path.clone());
        let text = read_kept(&self.path, MOST_BYTES)?;
        let Written { form, about, listed, list } =
            serde_json::from_str(&text).map_err(|_| damaged())?;
        let listed = SystemTime::UNIX_EPOCH.checked_add(Duration::from_secs(listed));
        let listed = listed.filter(|_| form == FORM && about == self.about);
        Ok(KnownList { list, listed: listed.ok_or_else(damaged)? })
    }

    /// Writes the list in the place of the one that is there, unless that says the same and is not old.
    ///
    /// # Errors
    ///
    /// It could not be written. The old one stays then.
    pub(crate) fn write<List>(&self, list: &List, now: SystemTime) -> Result<(), KeptFileError>
    where
        List: Serialize + DeserializeOwned + PartialEq,
    {
        let is_kept = |known: KnownList<List>| {
            known.list == *list && now.duration_since(known.listed).is_ok_and(|age| age < FRESH)
        };
        if self.read::<List>().is_ok_and(is_kept) {
            return Ok(());
        }
        let lock = lock_folder(self.path.parent().unwrap_or(&self.path), LockWait::Never)?;
        make_room(&self.path, MOST_LISTS);
        let listed = now.duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default().as_secs();
        let text = serde_json::to_vec(&Writing { form: FORM, about: &self.about, listed, list })
            .map_err(|error| KeptFileError::Io { path: self.path.clone(), error: error.into() })?;
        // It is asked for anew at each start.
        write_kept(&self.path, &text, Durability::Cached, &lock)
    }
}

#[cfg(test)]
#[cfg(unix)]
mod tests {
    use std::{fs, os::unix::fs::PermissionsExt as _};

    use serde_json::{Value, json};

    use super::*;
    use crate::{
        access::LevelMap,
        config::servers::{DEFAULT_START_TIMEOUT, ServerSettings, ServerStart},
    };

    fn backend(change: impl FnOnce(&mut BackendSettings, &mut StdioSettings)) -> BackendSettings {
        let mut backend = BackendSettings::new("git", "");
        let args = vec!["-y".to_owned(), "server".to_owned()];
        let mut process = StdioSettings { command: "npx".into(), args, ..StdioSettings::default() };
        change(&mut backend, &mut process);
        backend.server = Some(Box::new(ServerSettings {
            connection: ServerConnection::Stdio(process),
            levels: LevelMap::default(),
            start: ServerStart::Lazy,
            start_timeout: DEFAULT_START_TIMEOUT,
            protocol: None,
            log_level: None,
            prompts: true,
            resources: true,
            roots: Vec::new(),
            sampling: false,
        }));
        backend
    }

    fn place(home: &Path) -> KnownListPlace {
        KnownListPlace::new(home, &backend(|_, _| {})).unwrap()
    }

    fn now() -> SystemTime {
        SystemTime::UNIX_EPOCH + Duration::from_secs(1_795_180_000)
    }

    #[test]
    fn a_list_is_read_as_it_was_written() {
        let home = tempfile::tempdir().unwrap();
        let place = place(home.path());
        assert!(matches!(place.read::<Value>(), Err(KeptFileError::Missing)));
        let list = json!({ "tools": [{ "name": "log", "inputSchema": { "b": 1, "a": 2 } }] });
        place.write(&list, now()).unwrap();
        let known = place.read::<Value>().unwrap();
        assert_eq!((&known.list, known.listed), (&list, now()));
        // The order of members is part of it.
        assert_eq!(known.list.to_string(), list.to_string());
        let mode = |path: &Path| fs::metadata(path).unwrap().permissions().mode() & 0o777;
        assert_eq!((mode(place.path()), mode(&home.path().join("lists"))), (0o600, 0o700));
        // The same is not written again for a while.
        place.write(&list, now() + FRESH / 2).unwrap();
        assert_eq!(place.read::<Value>().unwrap().listed, now());
        place.write(&list, now() + FRESH).unwrap();
        assert_eq!(place.read::<Value>().unwrap().listed, now() + FRESH);
        place.write(&json!({}), now()).unwrap();
        assert_eq!(place.read::<Value>().unwrap().list, json!({}));
    }

    #[test]
    fn a_list_is_about_one_backend_and_one_way_to_start_it() {
        let home = tempfile::tempdir().unwrap();
        let first = place(home.path());
        first.write(&json!({}), now()).unwrap();
        let others = [
            backend(|backend, _| backend.name = "hub".to_owned()),
            backend(|_, process| process.command = "uvx".into()),
            backend(|_, process| process.args.push("--all".to_owned())),
            backend(|_, process| process.args = vec!["-y server".to_owned()]),
            backend(|_, process| process.cwd = Some("/srv".into())),
        ];
        for other in others {
            let other = KnownListPlace::new(home.path(), &other).unwrap();
            assert!(matches!(other.read::<Value>(), Err(KeptFileError::Missing)));
            // Whoever copies a list has not written one of another server.
            fs::copy(first.path(), other.path()).unwrap();
            assert!(matches!(other.read::<Value>(), Err(KeptFileError::Damaged(_))));
        }
        let text = fs::read_to_string(first.path()).unwrap();
        assert!(!text.contains("npx"), "{text}");
        let api = BackendSettings::new("api", "api");
        assert_eq!(KnownListPlace::new(home.path(), &api), None);
    }

    #[test]
    fn the_oldest_list_makes_room_for_a_new_one() {
        let home = tempfile::tempdir().unwrap();
        let folder = home.path().join("lists");
        fs::create_dir(&folder).unwrap();
        fs::set_permissions(&folder, fs::Permissions::from_mode(0o700)).unwrap();
        for at in 0..MOST_LISTS {
            let file = fs::File::create(folder.join(format!("{at}.json"))).unwrap();
            let age = Duration::from_secs(if at == 7 { 9_000 } else { 1_000 });
            file.set_modified(SystemTime::now() - age).unwrap();
        }
        place(home.path()).write(&json!({}), now()).unwrap();
        assert!(!folder.join("7.json").exists() && folder.join("8.json").exists());
        // The lock is one more.
        assert_eq!(fs::read_dir(&folder).unwrap().count(), MOST_LISTS + 1);
    }

    #[test]
    fn what_others_could_have_written_or_is_damaged_is_none() {
        let home = tempfile::tempdir().unwrap();
        let place = place(home.path());
        place.write(&json!({ "tools": [] }), now()).unwrap();
        let mode = |mode| {
            fs::set_permissions(place.path(), fs::Permissions::from_mode(mode)).unwrap();
        };
        mode(0o666);
        assert!(matches!(place.read::<Value>(), Err(KeptFileError::Untrusted(_))));
        mode(0o600);
        let text = fs::read_to_string(place.path()).unwrap();
        for damaged in [
            String::new(),
            "[]".to_owned(),
            text.replace("\"form\":1", "\"form\":2"),
            text.replace("1795180000", "-1"),
            text.get(..text.len() / 2).unwrap().to_owned(),
        ] {
            fs::write(place.path(), damaged).unwrap();
            assert!(matches!(place.read::<Value>(), Err(KeptFileError::Damaged(_))));
        }
        place.write(&json!({ "tools": [] }), now()).unwrap();
        assert!(place.read::<Value>().is_ok());
    }
}
