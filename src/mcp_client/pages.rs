//! Pages that a server wanted to be opened, and of which it may say later that they are done with
//! (`notifications/elicitation/complete`, 2025-11-25). Who had one opened is told; nobody hears of others.

use std::{
    collections::VecDeque,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use tokio::time::Instant;

/// So many pages of a server are waited for; the oldest makes room.
const MOST_PAGES: usize = 64;

/// And each for so long.
const WAITED: Duration = Duration::from_secs(3600);

/// Hears that a page is done with; must not block.
pub type PageListener = Arc<dyn Fn() + Send + Sync>;

/// The pages of a server that were asked for; a clone has the same.
#[derive(Clone, Default)]
pub(super) struct OpenPages(Arc<Mutex<PageTable>>);

#[derive(Default)]
struct PageTable {
    last_number: u64,
    pages: VecDeque<OpenPage>,
}

struct OpenPage {
    number: u64,
    id: String,
    until: Instant,
    done: PageListener,
}

/// A page that a person is asked to open; unless it is kept nobody is told of it any more when this is gone.
pub struct PageVisit {
    pages: OpenPages,
    number: u64,
    is_kept: bool,
}

impl PageVisit {
    /// Says that it was opened.
    pub fn keep(mut self) {
        self.is_kept = true;
    }
}

impl Drop for PageVisit {
    fn drop(&mut self) {
        if !self.is_kept {
            self.pages.lock().pages.retain(|page| page.number != self.number);
        }
    }
}

impl OpenPages {
    /// Has `done` told when the server says that the page with this id is done with.
    pub(super) fn expect(&self, id: &str, done: PageListener) -> PageVisit {
        let mut table = self.lock();
        table.last_number += 1;
        let (number, now) = (table.last_number, Instant::now());
        table.pages.retain(|page| page.until > now);
        if table.pages.len() >= MOST_PAGES {
            table.pages.pop_front();
        }
        table.pages.push_back(OpenPage { number, id: id.to_owned(), until: now + WAITED, done });
        drop(table);
        PageVisit { pages: self.clone(), number, is_kept: false }
    }

    /// Tells who had this page opened, once; nobody where nobody had.
    pub(super) fn done(&self, id: &str) {
        let mut told = Vec::new();
        let now = Instant::now();
        self.lock().pages.retain(|page| {
            let is_it = page.id == id;
            if is_it && page.until > now {
                told.push(Arc::clone(&page.done));
            }
            !is_it
        });
        told.iter().for_each(|done| done());
    }

    fn lock(&self) -> MutexGuard<'_, PageTable> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicU32, Ordering};

    use super::*;

    #[tokio::test]
    async fn who_had_a_page_opened_is_told_once() {
        let (pages, told) = (OpenPages::default(), Arc::new(AtomicU32::new(0)));
        let listener = || -> PageListener {
            let told = Arc::clone(&told);
            Arc::new(move || {
                told.fetch_add(1, Ordering::Relaxed);
            })
        };
        pages.expect("a", listener()).keep();
        // One that nobody opened.
        drop(pages.expect("b", listener()));
        for id in ["", "b", "c", "a", "a"] {
            pages.done(id);
        }
        assert_eq!(told.load(Ordering::Relaxed), 1);
        for _ in 0..2 * MOST_PAGES {
            pages.expect("d", listener()).keep();
        }
        pages.done("d");
        assert_eq!(told.load(Ordering::Relaxed), 1 + MOST_PAGES as u32);
    }
}
