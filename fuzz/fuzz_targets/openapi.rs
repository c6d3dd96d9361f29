//! Any document becomes a descriptor that loads, the same one each time, or there is an error.
//! Nothing differs between that descriptor and the document.
#![no_main]

use dadl_descriptor::{check, source::SourceText};
use dadl_openapi::{drift, import_api, import::{ImportError, ImportOptions}, read_document};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|bytes: &[u8]| {
    let Ok((api, mut remarks)) = read_document(bytes) else { return };
    match import_api(&api, &ImportOptions::default(), &mut remarks) {
        Ok(imported) => {
            let loaded = check(&SourceText::new("fuzz.dadl", imported.text.as_str()));
            let descriptor = loaded.descriptor.expect("what was made loads");
            assert_eq!(descriptor.tools.len(), imported.tools);
            let (again, mut others) = read_document(bytes).expect("it was read before");
            let second = import_api(&again, &ImportOptions::default(), &mut others).expect("as before");
            assert_eq!(second.text, imported.text);
            // What a check had taken out is missing on one side.
            let was_whole = !remarks.list().iter().any(|it| it.message.contains("is left out: "));
            if was_whole {
                let found = drift(&descriptor, &api).differences;
                assert!(found.is_empty(), "{found:?}");
            }
        }
        Err(ImportError::Wrong(what)) => panic!("{what}"),
        Err(_) => {}
    }
});
