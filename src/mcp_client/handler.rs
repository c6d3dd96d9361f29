//! What a server may ask of us: pings, the roots that the operator names, and what whoever calls it can be
//! asked. Nothing else is answered, and what cannot be is declined.

use rmcp::{
    ClientHandler, ErrorData, RoleClient,
    model::{
        ClientCapabilities, ClientConfig, CustomRequest, CustomResult, ElicitRequestParams,
        ElicitResult, ElicitationAction, ElicitationCapability, ErrorCode, Implementation,
        ProtocolVersion,
    },
    service::RequestContext,
};
use serde::Deserialize as _;
use serde_json::{Value, json};

use super::{
    questions::{QuestionDesk, QuestionKind, QuestionRefusal},
    settings::ClientOffer,
};

/// The extension for calls that go on as tasks.
const TASKS: &str = "io.modelcontextprotocol/tasks";

/// Answers a server.
#[derive(Debug, Clone)]
pub(super) struct AnsweringClient {
    desk: QuestionDesk,
    offer: ClientOffer,
}

impl AnsweringClient {
    pub(super) fn new(desk: QuestionDesk, offer: ClientOffer) -> Self {
        Self { desk, offer }
    }

    /// Returns what we can do, as a server is told.
    fn capabilities(&self) -> ClientCapabilities {
        let mut capabilities = ClientCapabilities::default();
        let elicitation =
            ElicitationCapability::new().with_form(Default::default()).with_url(Default::default());
        capabilities.elicitation = Some(elicitation);
        capabilities.extensions = Some([(TASKS.to_owned(), Default::default())].into());
        if !self.offer.roots.is_empty() {
            capabilities.roots = Some(Default::default());
        }
        if self.offer.sampling {
            capabilities.sampling = Some(Default::default());
        }
        capabilities
    }

    /// Puts a question; the server is told at once when it is withdrawn.
    async fn ask(
        &self,
        kind: QuestionKind,
        params: Value,
        context: &RequestContext<RoleClient>,
    ) -> Result<Value, QuestionRefusal> {
        if kind == QuestionKind::Sampling && !self.offer.sampling {
            return Err(QuestionRefusal::NoModel);
        }
        tokio::select! {
            answer = self.desk.ask(kind, params) => answer,
            () = context.ct.cancelled() => Err(QuestionRefusal::Withdrawn),
        }
    }
}

impl ClientHandler for AnsweringClient {
    fn get_info(&self) -> ClientConfig {
        let name = Implementation::new(env!("CARGO_PKG_NAME"), env!("CARGO_PKG_VERSION"));
        let mut config = ClientConfig::new(self.capabilities(), name);
        config.protocol_version = ProtocolVersion::LATEST_WITH_INITIALIZE;
        config
    }

    async fn create_elicitation(
        &self,
        request: ElicitRequestParams,
        context: RequestContext<RoleClient>,
    ) -> Result<ElicitResult, ErrorData> {
        let params = serde_json::to_value(request).unwrap_or_default();
        let answer = self.ask(QuestionKind::Elicitation, params, &context).await;
        let answer = answer.ok().and_then(|answer| ElicitResult::deserialize(answer).ok());
        Ok(answer.unwrap_or_else(|| ElicitResult::new(ElicitationAction::Decline)))
    }

    #[expect(deprecated, reason = "servers of the revisions that have it ask for it")]
    async fn create_message(
        &self,
        params: rmcp::model::CreateMessageRequestParams,
        context: RequestContext<RoleClient>,
    ) -> Result<rmcp::model::CreateMessageResult, ErrorData> {
        let params = serde_json::to_value(params).unwrap_or_default();
        let answer = self.ask(QuestionKind::Sampling, params, &context).await;
        let refused = |why: String| ErrorData::new(ErrorCode(REFUSED), why, None);
        let answer = answer.map_err(|why| refused(why.to_string()))?;
        let unreadable = |_| refused("the answer of the host cannot be read".to_owned());
        serde_json::from_value(answer).map_err(unreadable)
    }

    #[expect(deprecated, reason = "servers of the revisions that have it ask for it")]
    async fn list_roots(
        &self,
        _: RequestContext<RoleClient>,
    ) -> Result<rmcp::model::ListRootsResult, ErrorData> {
        if self.offer.roots.is_empty() {
            let why = "there are no roots: the operator names none (`roots`)";
            return Err(ErrorData::new(ErrorCode::METHOD_NOT_FOUND, why, None));
        }
        serde_json::from_value(self.offer.roots_result())
            .map_err(|error| ErrorData::internal_error(error.to_string(), None))
    }

    /// A request whose parameters are not those of its method arrives here.
    async fn on_custom_request(
        &self,
        request: CustomRequest,
        context: RequestContext<RoleClient>,
    ) -> Result<CustomResult, ErrorData> {
        let CustomRequest { method, params, .. } = request;
        match QuestionKind::of_method(&method) {
            Some(QuestionKind::Elicitation) => {
                let params = params.unwrap_or_default();
                let answer = self.ask(QuestionKind::Elicitation, params, &context).await;
                Ok(CustomResult::new(answer.unwrap_or_else(|_| json!({ "action": "decline" }))))
            }
            _ => Err(ErrorData::new(ErrorCode::METHOD_NOT_FOUND, "it is not answered here", None)),
        }
    }
}

/// The code of a request that somebody has refused.
const REFUSED: i32 = -1;
