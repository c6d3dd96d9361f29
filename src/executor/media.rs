//! Refuses an answer that is another thing than its tool declares, and tells of one that is only
//! labelled otherwise.
//!
//! A script gets no notes: what a caller is told with a result is an error for a script that would
//! take it for data.

use dadl_descriptor::model::Tool;
use dadl_text::text::begins_as_page;
use http::{HeaderMap, header};

use super::{CallError, MediaTypeError, peek::header_text, step::RequestStep};
use crate::{
    http::backend::{Backend, HttpExchange},
    outcome::{AnswerPayload, JsonText},
    response::{
        decode::BodyType,
        decode_error::DecodeError,
        media::{self, AnswerSubject, DeclaredMedia},
    },
};

/// Makes the error of an answer to the request of `tool` that is a page.
pub(super) fn page_error(
    backend: &Backend,
    declared: DeclaredMedia<'_>,
    request: String,
    status: u16,
    (label, landed): (Option<&str>, Option<String>),
) -> MediaTypeError {
    MediaTypeError {
        backend: backend.settings().name.clone(),
        request,
        status,
        sent: format!("a web page ({})", label.unwrap_or("without a content type")),
        declared: declared.words().to_owned(),
        landed,
        missing: backend.missing_path().map(str::to_owned),
        is_page: true,
    }
}

/// Returns what an answer says that it is, as it may be shown.
pub(super) fn label(backend: &Backend, headers: &HeaderMap) -> Option<String> {
    let label = header_text(headers, &header::CONTENT_TYPE)?;
    Some(backend.secrets().text(label).into_owned())
}

/// Returns whether the label of an answer is that of a page, and `tool` says nothing of pages.
pub(super) fn is_foreign_page(tool: &Tool, headers: &HeaderMap) -> bool {
    media::is_page_type(header_text(headers, &header::CONTENT_TYPE)) && !media::names_pages(tool)
}

impl<'call> RequestStep<'call> {
    fn declared(&self) -> DeclaredMedia<'call> {
        let subject = if self.shows_tasks() { AnswerSubject::Tasks } else { AnswerSubject::Result };
        DeclaredMedia::of(self.tool, subject)
    }

    /// Returns whether a page of a browser may be what the tool answers.
    pub(super) fn expects_page(&self) -> bool {
        self.declared().is_page() || media::names_pages(self.tool)
    }

    /// Refuses, by its head, an answer that is a page where none was declared.
    pub(super) fn check_page(&self, exchange: &HttpExchange) -> Result<(), CallError> {
        let headers = exchange.response.headers();
        if !media::is_page_type(header_text(headers, &header::CONTENT_TYPE)) {
            return Ok(());
        }
        let declared = self.declared();
        let is_doubtful = exchange.landed.is_some() || self.context.is_script;
        let is_refused = match declared {
            DeclaredMedia::Asked | DeclaredMedia::Shaped | DeclaredMedia::Json => true,
            // Any text is plain text.
            DeclaredMedia::Other(_) => !declared.is_page() && !declared.is_plain_text(),
            DeclaredMedia::Nothing => is_doubtful && !media::names_pages(self.tool),
        };
        if is_refused { Err(self.page(exchange)) } else { Ok(()) }
    }

    /// Refuses, by its head, a file that is a page where another was declared; returns what there is
    /// to say about one of another type.
    pub(super) fn check_file(&self, exchange: &HttpExchange) -> Result<Option<String>, CallError> {
        let headers = exchange.response.headers();
        let sent = header_text(headers, &header::CONTENT_TYPE);
        let declared = self.declared();
        // A file that is meant to be saved has a name, and may be a page.
        let has_name = headers.contains_key(header::CONTENT_DISPOSITION);
        if media::is_page_type(sent) && !declared.is_page() && !has_name {
            let is_refused = match declared {
                DeclaredMedia::Nothing => {
                    exchange.landed.is_some() && !media::names_pages(self.tool)
                }
                _ => true,
            };
            if is_refused {
                return Err(self.page(exchange));
            }
            return Ok(Some("the file is a web page (text/html)".to_owned()));
        }
        let Some(sent) = sent else { return Ok(None) };
        let is_unexpected = !self.tool.response.binary
            && matches!(declared, DeclaredMedia::Shaped | DeclaredMedia::Json);
        if is_unexpected && self.context.is_script {
            let status = exchange.response.status().as_u16();
            return Err(self.other(status, sent, exchange.landed.clone()));
        }
        Ok((is_unexpected || declared.differs(sent)).then(|| self.told(sent)))
    }

    /// Makes JSON of a text that is some, where JSON is declared; refuses one that is none where that
    /// would be taken for data.
    pub(super) fn as_declared(
        &self,
        payload: AnswerPayload,
        (headers, status): (&HeaderMap, u16),
        landed: Option<&String>,
        notes: &mut Vec<String>,
    ) -> Result<AnswerPayload, CallError> {
        let sent = header_text(headers, &header::CONTENT_TYPE);
        let is_text = matches!(payload, AnswerPayload::Text { .. });
        // Most tools name no type, and most answers are JSON.
        if matches!(payload, AnswerPayload::Empty)
            || !is_text && self.tool.response.content_type.is_none()
        {
            return Ok(payload);
        }
        let declared = self.declared();
        let AnswerPayload::Text { text, .. } = &payload else {
            let differs = |sent: &&str| declared.differs(sent);
            notes.extend(sent.filter(differs).map(|sent| self.told(sent)));
            return Ok(payload);
        };
        let is_labelled = BodyType::of(sent) == BodyType::Text;
        if !declared.is_json() {
            let differs = |sent: &&str| is_labelled && declared.differs(sent);
            notes.extend(sent.filter(differs).map(|sent| self.told(sent)));
            return Ok(payload);
        }
        if let Ok(json) = JsonText::parse(text) {
            let differs = |sent: &&str| declared.differs(sent);
            notes.extend(sent.filter(differs).map(|sent| {
                let sent = self.backend.secrets().text(sent);
                format!("the answer says that it is {sent}; it was read as the JSON that it is")
            }));
            return Ok(AnswerPayload::Json(json));
        }
        if begins_as_page(text.as_bytes()) {
            let request = self.request_line();
            let from = (sent, landed.cloned());
            return Err(page_error(self.backend, declared, request, status, from).into());
        }
        // Some that are said to answer JSON answer a word, and do not say what it is.
        let Some(sent) = sent.filter(|_| is_labelled) else { return Ok(payload) };
        match declared {
            DeclaredMedia::Json => Err(self.other(status, sent, landed.cloned())),
            DeclaredMedia::Shaped if self.context.is_script => {
                Err(self.other(status, sent, landed.cloned()))
            }
            _ => {
                notes.push(self.told(sent));
                Ok(payload)
            }
        }
    }

    /// Makes the error of a body that is not what its label says; a page has one of its own.
    pub(super) fn unreadable(
        &self,
        (headers, status): (&HeaderMap, u16),
        landed: Option<&String>,
        error: DecodeError,
    ) -> CallError {
        if !begins_as_page(error.excerpt.as_bytes()) {
            return self.undecodable(status, error);
        }
        let label = label(self.backend, headers);
        let from = (label.as_deref(), landed.cloned());
        page_error(self.backend, self.declared(), self.request_line(), status, from).into()
    }

    /// Says what an answer is that was declared otherwise.
    fn told(&self, sent: &str) -> String {
        let sent = self.backend.secrets().text(sent);
        format!("the answer is {sent}, where {} is declared", self.declared().words())
    }

    fn page(&self, exchange: &HttpExchange) -> CallError {
        let label = label(self.backend, exchange.response.headers());
        let from = (label.as_deref(), exchange.landed.clone());
        let status = exchange.response.status().as_u16();
        page_error(self.backend, self.declared(), self.request_line(), status, from).into()
    }

    fn other(&self, status: u16, sent: &str, landed: Option<String>) -> CallError {
        MediaTypeError {
            backend: self.backend.settings().name.clone(),
            request: self.request_line(),
            status,
            sent: self.backend.secrets().text(sent).into_owned(),
            declared: self.declared().words().to_owned(),
            landed,
            missing: self.backend.missing_path().map(str::to_owned),
            is_page: false,
        }
        .into()
    }
}
