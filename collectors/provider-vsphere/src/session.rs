//! A login, and the calls that are made in it.
//!
//! Method and parameter names are those of the vSphere Web Services API reference. Everything that
//! a session has made in the vCenter (views, filters) ends with it.

use crate::client::{Call, Client};
use crate::error::ApiError;
use crate::settings::Credentials;
use crate::traversal::select_set;
use crate::updates::{ObjectContent, Ref, UpdateSet};
use quick_xml::escape::escape;
use std::time::Duration;

/// How long `WaitForUpdatesEx` waits for a change before it answers with nothing.
const WAIT_SECONDS: u64 = 30;
/// How long a call may take beside waiting: a large vCenter needs its time for the first page.
const TIMEOUT: Duration = Duration::from_mins(2);
const WAIT_TIMEOUT: Duration = Duration::from_secs(WAIT_SECONDS).saturating_add(TIMEOUT);
/// Nobody waits long for a goodbye.
const LOGOUT_TIMEOUT: Duration = Duration::from_secs(5);
/// Objects of one page. The vCenter may send fewer: its own limit is 100 by default.
const PAGE_OBJECTS: usize = 250;

/// Somebody is logged in.
#[derive(Debug)]
pub struct Session {
    client: Client,
    content: Content,
    /// The user as the vCenter calls it.
    pub user: String,
    key: String,
}

/// What `ServiceContent` says: who answers, and the objects that all others are reached from.
#[derive(Debug)]
pub struct Content {
    /// Name, version and build.
    pub full_name: String,
    /// The folder that everything is in.
    pub root: Ref,
    collector: Ref,
    views: Ref,
    sessions: Ref,
    authorization: Option<Ref>,
}

impl Session {
    /// Logs in.
    ///
    /// # Errors
    /// [`ApiError::Login`], or that the vCenter can't be reached.
    pub async fn login(mut client: Client, credentials: &Credentials) -> Result<Self, ApiError> {
        let content = Content::retrieve(&mut client).await?;
        let parameters = format!(
            "{}<userName>{}</userName><password>{}</password>",
            content.sessions.xml("_this"),
            escape(&credentials.username),
            escape(credentials.password.expose()),
        );
        let answer = client.call(call("Login", parameters)).await;
        let answer = answer.map_err(|error| refused(error, credentials))?;
        let session = answer.into_child("returnval").unwrap_or_default();
        let (user, key) = (session.text_of("userName"), session.text_of("key"));
        Ok(Self { client, content, user: user.to_owned(), key: key.to_owned() })
    }

    /// Ends the session with all that it has made. That it may have ended already is no failure.
    pub async fn logout(mut self) {
        let parameters = self.content.sessions.xml("_this");
        let logout = Call { method: "Logout", parameters, timeout: LOGOUT_TIMEOUT };
        if let Err(error) = self.client.call(logout).await {
            tracing::debug!("{error}; the vCenter ends the session when it has been idle");
        }
    }

    /// What the vCenter says of itself.
    #[must_use]
    pub const fn content(&self) -> &Content {
        &self.content
    }

    /// A view that always holds every object of these types, and of those that extend them, under
    /// the root folder; not the root folder itself.
    ///
    /// # Errors
    /// [`ApiError`].
    pub async fn create_view(&mut self, types: &[&str]) -> Result<Ref, ApiError> {
        let types: String = types.iter().map(|name| format!("<type>{name}</type>")).collect();
        let (views, root) = (self.content.views.xml("_this"), self.content.root.xml("container"));
        let parameters = format!("{views}{root}{types}<recursive>true</recursive>");
        let answer = self.client.call(call("CreateContainerView", parameters)).await?;
        self.found(Ref::child_of(&answer, "returnval"), "CreateContainerView", "view")
    }

    /// Makes the session's property collector tell of the root folder, and of all that is reached
    /// from it, what `property_specs` say: the whole value of a property also when only a part of
    /// it has changed.
    ///
    /// # Errors
    /// [`ApiError`].
    pub async fn create_filter(&mut self, property_specs: &str) -> Result<(), ApiError> {
        let parameters = format!(
            "{}<spec>{property_specs}<objectSet>{}<skip>false</skip>{}</objectSet></spec>\
             <partialUpdates>false</partialUpdates>",
            self.content.collector.xml("_this"),
            self.content.root.xml("obj"),
            select_set(),
        );
        self.client.call(call("CreateFilter", parameters)).await.map(drop)
    }

    /// Waits for changes after those of `version`; an empty one asks for the state from its start.
    /// `None`: nothing has changed for a while.
    ///
    /// # Errors
    /// [`ApiError`].
    pub async fn wait(&mut self, version: &str) -> Result<Option<UpdateSet>, ApiError> {
        let parameters = format!(
            "{}<version>{}</version><options><maxWaitSeconds>{WAIT_SECONDS}</maxWaitSeconds>\
             <maxObjectUpdates>{PAGE_OBJECTS}</maxObjectUpdates></options>",
            self.content.collector.xml("_this"),
            escape(version),
        );
        let wait = Call { method: "WaitForUpdatesEx", parameters, timeout: WAIT_TIMEOUT };
        let answer = self.client.call(wait).await?;
        let Some(set) = answer.into_child("returnval") else { return Ok(None) };
        self.found(UpdateSet::read(set), "WaitForUpdatesEx", "version").map(Some)
    }

    /// The values of some properties of some objects as they are now. An object that is gone is
    /// left out.
    ///
    /// # Errors
    /// [`ApiError`].
    pub async fn read(
        &mut self,
        objects: &[Ref],
        property_specs: &str,
    ) -> Result<Vec<ObjectContent>, ApiError> {
        let this = self.content.collector.xml("_this");
        let objects: String = objects.iter().map(object_spec).collect();
        let parameters = format!(
            "{this}<specSet>{property_specs}{objects}\
             <reportMissingObjectsInResults>true</reportMissingObjectsInResults></specSet>\
             <options/>"
        );
        let mut next = call("RetrievePropertiesEx", parameters);
        let mut contents = Vec::new();
        loop {
            let answer = self.client.call(next).await?;
            // Without any object there is no result.
            let result = answer.into_child("returnval").unwrap_or_default();
            let token = result.child("token").map(|token| escape(token.text.clone()));
            let parameters = token.map(|token| format!("{this}<token>{token}</token>"));
            let objects = result.children.into_iter().filter(|child| child.name == "objects");
            contents.extend(objects.filter_map(ObjectContent::read));
            let Some(parameters) = parameters else { return Ok(contents) };
            next = call("ContinueRetrievePropertiesEx", parameters);
        }
    }

    /// Which of `privileges` this session has on every one of the objects.
    ///
    /// # Errors
    /// [`ApiError`].
    pub async fn granted(
        &mut self,
        privileges: &[&str],
        objects: &[Ref],
    ) -> Result<Vec<bool>, ApiError> {
        let Some(authorization) = &self.content.authorization else {
            return Ok(vec![true; privileges.len()]);
        };
        let entities: String = objects.iter().map(|object| object.xml("entity")).collect();
        let names: String = privileges.iter().map(|id| format!("<privId>{id}</privId>")).collect();
        let session = escape(&self.key);
        let manager = authorization.xml("_this");
        let parameters = format!("{manager}{entities}<sessionId>{session}</sessionId>{names}");
        let answer = self.client.call(call("HasPrivilegeOnEntities", parameters)).await;
        let answer = match answer {
            // Who may not read an object may not ask for it.
            Err(error) if error.is_fault("NoPermission") => {
                return Ok(vec![false; privileges.len()]);
            }
            answer => answer?,
        };
        let denied = |privilege: &&str| {
            let mut entities = answer.children_named("returnval");
            entities.any(|entity| {
                entity.children_named("privAvailability").any(|availability| {
                    availability.text_of("privId") == *privilege
                        && availability.text_of("isGranted") != "true"
                })
            })
        };
        Ok(privileges.iter().map(|privilege| !denied(privilege)).collect())
    }

    fn found<T>(
        &self,
        value: Option<T>,
        call: &'static str,
        missing: &'static str,
    ) -> Result<T, ApiError> {
        value.ok_or_else(|| ApiError::Answer { url: self.client.url(), call, missing })
    }
}

impl Content {
    /// The one call that needs no session. Its object has the same name in every vCenter.
    async fn retrieve(client: &mut Client) -> Result<Self, ApiError> {
        const CALL: &str = "RetrieveServiceContent";
        let this = Ref { kind: "ServiceInstance".to_owned(), id: "ServiceInstance".to_owned() };
        let answer = client.call(call(CALL, this.xml("_this"))).await?;
        let content = answer.into_child("returnval").unwrap_or_default();
        let manager = |missing: &'static str| {
            let lacking = || ApiError::Answer { url: client.url(), call: CALL, missing };
            Ref::child_of(&content, missing).ok_or_else(lacking)
        };
        Ok(Self {
            full_name: content
                .child("about")
                .map(|about| about.text_of("fullName").to_owned())
                .unwrap_or_default(),
            root: manager("rootFolder")?,
            collector: manager("propertyCollector")?,
            views: manager("viewManager")?,
            sessions: manager("sessionManager")?,
            authorization: manager("authorizationManager").ok(),
        })
    }
}

fn object_spec(object: &Ref) -> String {
    format!("<objectSet>{}</objectSet>", object.xml("obj"))
}

const fn call(method: &'static str, parameters: String) -> Call {
    Call { method, parameters, timeout: TIMEOUT }
}

/// `InvalidLogin`: user or password is wrong; `PasswordExpired` is a kind of it. `NoPermission`:
/// the account is disabled, or it is one that may not log in.
fn refused(error: ApiError, credentials: &Credentials) -> ApiError {
    match error {
        ApiError::Fault { url, fault, .. }
            if matches!(
                fault.kind.as_str(),
                "InvalidLogin" | "PasswordExpired" | "NoPermission"
            ) =>
        {
            let (user, file) = (credentials.username.clone(), credentials.file.clone());
            ApiError::Login { url, user, reason: fault.to_string(), file }
        }
        error => error,
    }
}
