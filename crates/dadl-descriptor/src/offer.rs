//! What a server has, held against a descriptor (`_dadl_mcp.fit`).
//!
//! Nothing here decides about a call: it says which tools are not worth listing, and why a call found
//! no operation.

use std::{collections::BTreeSet, fmt};

use dadl_text::names::path::{anonymous, of_base_url, spellings};

use crate::model::{
    Composite, Descriptor, Tool,
    fit::{ServerFit, ServerVersion, ToolNeeds},
};

/// What has more operations says nothing.
pub const MOST_HAS: usize = 4_096;

/// An operation with a longer path says nothing, in bytes.
pub const LONGEST_HAS: usize = 512;

/// What a server has, as it said.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct ServerOffer {
    /// Its version, where it says one.
    pub version: Option<ServerVersion>,
    /// The path before those of all operations, such as `/rest/v0`.
    pub below: String,
    /// The operations: `GET /vms/{}`, or the names of JSON-RPC methods.
    pub has: BTreeSet<String>,
}

/// Why a tool that may be called is not listed, or why a call found nothing.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct UnmetNeed {
    /// The name in the descriptor.
    pub tool: String,
    /// What the server is, where that is known: `rest-api 0.33.0 (XO 6.5)`.
    pub server: Option<String>,
    /// What it lacks.
    pub reason: UnmetReason,
    /// What a person can do.
    pub remedy: Option<String>,
    /// The tool to call instead.
    pub instead: Option<String>,
}

/// What a server lacks.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum UnmetReason {
    /// It is older than this version.
    Since(String),
    /// It has no such plugin.
    Plugin(String),
    /// It has no such operation: `POST /x`, or a method.
    Operation(String),
}

/// What is known of one tool at one server.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ToolAvailability {
    /// It is there, as far as anything says.
    Has,
    /// It is not there.
    Lacks(UnmetNeed),
    /// Nobody can tell; what it needs, where the descriptor says that.
    Unknown(Option<UnmetNeed>),
}

impl ServerOffer {
    /// Returns whether it can be what a server of this descriptor has: half of the tools are there of
    /// which the descriptor says that every server has them.
    pub fn is_plausible(&self, descriptor: &Descriptor) -> bool {
        let is_plain = |tool: &&Tool| {
            descriptor.fit.as_ref().is_none_or(|fit| {
                !fit.since.contains_key(&tool.name) && !fit.needs.contains_key(&tool.name)
            })
        };
        let base = anonymous(of_base_url(descriptor.base_url.as_deref()));
        let (mut has, mut all) = (0_usize, 0_usize);
        for tool in descriptor.tools.iter().filter(is_plain) {
            all += 1;
            has += usize::from(self.has_tool(tool, &base));
        }
        has * 2 >= all
    }

    /// Returns whether the operation of a tool is there; `base` is the path of the descriptor's base
    /// URL without the names of placeholders.
    fn has_tool(&self, tool: &Tool, base: &str) -> bool {
        if let Some(rpc) = tool.rpc() {
            return self.has.contains(&rpc.method);
        }
        let Some(http) = tool.http() else { return true };
        let method = http.method.as_str();
        let path = http.path.as_str().split('?').next().unwrap_or_default();
        let known = |path: &str| self.has.contains(&format!("{method} {path}"));
        spellings(path, base).iter().any(|path| {
            let path = path.trim_end_matches('/');
            let below =
                || path.strip_prefix(self.below.as_str()).filter(|_| !self.below.is_empty());
            known(path) || below().is_some_and(known)
        })
    }
}

/// Says whether the server that made `offer` has the tool or composite called `name`.
pub fn standing(
    descriptor: &Descriptor,
    name: &str,
    offer: Option<&ServerOffer>,
) -> ToolAvailability {
    let Some(fit) = &descriptor.fit else { return ToolAvailability::Has };
    let base = anonymous(of_base_url(descriptor.base_url.as_deref()));
    let judge = AvailabilityCheck { descriptor, fit, offer, base: &base };
    if let Some(tool) = descriptor.tools.iter().find(|tool| tool.name == name) {
        return judge.tool(tool);
    }
    let composite = descriptor.composites.iter().find(|composite| composite.name == name);
    composite.map_or(ToolAvailability::Has, |composite| judge.composite(composite))
}

/// What a judgement looks at.
struct AvailabilityCheck<'a> {
    descriptor: &'a Descriptor,
    fit: &'a ServerFit,
    offer: Option<&'a ServerOffer>,
    base: &'a str,
}

impl AvailabilityCheck<'_> {
    /// Returns what the server said, where that judges anything.
    fn said(&self) -> Option<&ServerOffer> {
        let offer = self.offer?;
        let is_complete = match (self.fit.complete_since, offer.version) {
            (None, _) => true,
            (Some(first), version) => version.is_some_and(|version| version >= first),
        };
        is_complete.then_some(offer)
    }

    fn tool(&self, tool: &Tool) -> ToolAvailability {
        let needs = self.fit.needs.get(&tool.name);
        let operation = || match tool.rpc() {
            Some(rpc) => rpc.method.clone(),
            None => format!("{} {}", tool.method().as_str(), tool.path().as_str()),
        };
        let lack = || self.lack(&tool.name, needs.map(|it| &**it), operation);
        let Some(offer) = self.said() else {
            let is_named = needs.is_some() || self.fit.since.contains_key(&tool.name);
            return ToolAvailability::Unknown(is_named.then(lack));
        };
        // Of another host the server says nothing.
        if tool.elsewhere().is_some() || offer.has_tool(tool, self.base) {
            return ToolAvailability::Has;
        }
        match needs.filter(|needs| !needs.shown_by.is_empty()) {
            Some(needs) => self.shown(needs, offer, lack),
            None => ToolAvailability::Lacks(lack()),
        }
    }

    /// Judges what the source leaves out, and others show.
    fn shown(
        &self,
        needs: &ToolNeeds,
        offer: &ServerOffer,
        lack: impl Fn() -> UnmetNeed,
    ) -> ToolAvailability {
        let mut others =
            self.descriptor.tools.iter().filter(|it| needs.shown_by.contains(&it.name));
        if others.any(|other| offer.has_tool(other, self.base)) {
            return ToolAvailability::Has;
        }
        let is_told = match needs.shown_since {
            None => true,
            Some(first) => offer.version.is_some_and(|version| version >= first),
        };
        if is_told {
            ToolAvailability::Lacks(lack())
        } else {
            ToolAvailability::Unknown(Some(lack()))
        }
    }

    /// A composite is there when its version is, and one of the tools that it calls.
    fn composite(&self, composite: &Composite) -> ToolAvailability {
        let name = &composite.name;
        let needs = self.fit.needs.get(name).map(|needs| &**needs);
        let since = self.fit.since.get(name);
        let lack = || self.lack(name, needs, || name.clone());
        let Some(offer) = self.said() else {
            return ToolAvailability::Unknown((needs.is_some() || since.is_some()).then(lack));
        };
        if let Some(since) = since {
            match offer.version {
                Some(version) if version < *since => return ToolAvailability::Lacks(lack()),
                Some(_) => {}
                None => return ToolAvailability::Unknown(Some(lack())),
            }
        }
        if let Some(needs) = needs.filter(|needs| !needs.shown_by.is_empty()) {
            let shown = self.shown(needs, offer, lack);
            if shown != ToolAvailability::Has {
                return shown;
            }
        }
        let mut called = composite.calls.iter().filter_map(|called| {
            let tool = self.descriptor.tools.iter().find(|tool| tool.name == *called)?;
            Some(self.tool(tool))
        });
        let Some(ToolAvailability::Lacks(first)) = called.next() else {
            return ToolAvailability::Has;
        };
        if called.all(|standing| matches!(standing, ToolAvailability::Lacks(_))) {
            return ToolAvailability::Lacks(UnmetNeed { tool: name.clone(), ..first });
        }
        ToolAvailability::Has
    }

    fn lack(
        &self,
        name: &str,
        needs: Option<&ToolNeeds>,
        operation: impl Fn() -> String,
    ) -> UnmetNeed {
        let (fit, version) = (self.fit, self.offer.and_then(|offer| offer.version));
        let since = fit.since.get(name);
        // A version that is new enough is not what is wrong.
        let since = since.filter(|since| version.is_none_or(|version| version < **since));
        let (reason, remedy) = match (since, needs.and_then(|needs| needs.plugin.as_ref())) {
            (Some(since), _) => (UnmetReason::Since(fit.named(*since)), fit.update.as_ref()),
            (None, Some(plugin)) => (UnmetReason::Plugin(plugin.clone()), None),
            (None, None) => (UnmetReason::Operation(operation()), None),
        };
        let remedy = needs.and_then(|needs| needs.remedy.as_ref()).or(remedy);
        let server = self.offer.map(|_| match version {
            Some(version) => fit.named(version),
            None => fit.product.clone(),
        });
        UnmetNeed {
            tool: name.to_owned(),
            server,
            reason,
            remedy: remedy.cloned(),
            instead: needs.and_then(|needs| needs.instead.clone()),
        }
    }
}

impl UnmetNeed {
    /// Says what is missing without naming the tool, for a list of tools that lack the same.
    pub fn of_all(&self) -> String {
        let mut text = match (&self.server, &self.reason) {
            (Some(server), UnmetReason::Since(since)) => {
                format!("this server has {server}, and these need {since} or later")
            }
            (Some(server), UnmetReason::Plugin(plugin)) => {
                format!(
                    "these need the plugin {plugin}, which this server ({server}) has not loaded"
                )
            }
            (Some(server), UnmetReason::Operation(_)) => {
                format!("this server ({server}) lacks these")
            }
            (None, UnmetReason::Since(since)) => format!("these need {since} or later"),
            (None, UnmetReason::Plugin(plugin)) => {
                format!(
                    "these need the plugin {plugin}, and nobody knows whether the server has it"
                )
            }
            (None, UnmetReason::Operation(_)) => "few servers have these".to_owned(),
        };
        self.add_advice(&mut text);
        text
    }

    fn add_advice(&self, text: &mut String) {
        if let Some(remedy) = &self.remedy {
            text.push_str("; ");
            text.push_str(remedy);
        }
        if let Some(instead) = &self.instead {
            text.push_str(&format!("; call `{instead}`"));
        }
    }
}

impl fmt::Display for UnmetNeed {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let tool = &self.tool;
        let mut text = match (&self.server, &self.reason) {
            (Some(server), UnmetReason::Since(since)) => {
                format!("`{tool}` needs {since} or later, and this server has {server}")
            }
            (Some(server), UnmetReason::Plugin(plugin)) => format!(
                "`{tool}` needs the plugin {plugin}, which this server ({server}) has not loaded"
            ),
            (Some(server), UnmetReason::Operation(operation)) if operation == tool => {
                format!("this server ({server}) has nothing that `{tool}` calls")
            }
            (Some(server), UnmetReason::Operation(operation)) => {
                format!("this server ({server}) has no {operation}, which `{tool}` calls")
            }
            (None, reason) => {
                let what = match reason {
                    UnmetReason::Since(since) => format!("{since} or later"),
                    UnmetReason::Plugin(plugin) => format!("the plugin {plugin}"),
                    UnmetReason::Operation(operation) => operation.clone(),
                };
                format!("this server may lack what `{tool}` needs: {what}")
            }
        };
        self.add_advice(&mut text);
        if self.server.is_none() {
            text.push_str("; `dadl-mcp doctor` says what it has");
        }
        formatter.write_str(&text)
    }
}
