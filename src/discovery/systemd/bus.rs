//! What is asked of systemd over the system bus: org.freedesktop.systemd1(5). Every question has a deadline.

use super::BusAddress;
use super::object_path;
use super::unit::{UnitKind, UnitName};
use crate::net::deadline::within;
use std::time::Duration;
use zbus::connection::Builder;
use zbus::message::Message;
use zbus::{Connection, MessageStream, OwnedObjectPath, OwnedVariant};

/// How long an answer may take. systemd answers within a millisecond, but not while it reloads.
pub(super) const DEADLINE: Duration = Duration::from_secs(5);

/// Of the bus itself.
pub(super) const BUS: &str = "org.freedesktop.DBus";
/// Of systemd on the bus.
pub(super) const SYSTEMD: &str = "org.freedesktop.systemd1";
/// Of what manages the units.
pub(super) const MANAGER: &str = "org.freedesktop.systemd1.Manager";
/// Of what all units have.
pub(super) const UNIT: &str = "org.freedesktop.systemd1.Unit";
/// Of what services have.
pub(super) const SERVICE: &str = "org.freedesktop.systemd1.Service";
/// Of what any object has.
pub(super) const PROPERTIES: &str = "org.freedesktop.DBus.Properties";

/// Why systemd could not be asked.
#[derive(Debug, thiserror::Error)]
pub(super) enum BusError {
    /// There is no bus, or it does not let the agent in.
    #[error("failed to connect to the system bus")]
    Connect(#[source] zbus::Error),
    /// It took too long.
    #[error("no answer to {0} within {seconds} s", seconds = DEADLINE.as_secs())]
    Late(&'static str),
    /// It was refused.
    #[error("failed to call {method}")]
    Call {
        /// What was asked.
        method: &'static str,
        /// Why.
        #[source]
        source: zbus::Error,
    },
    /// The answer is none.
    #[error("{0} was answered in an unknown form")]
    Form(&'static str),
    /// The bus has gone.
    #[error("the system bus closed the connection")]
    Closed,
    /// What came over it is no message.
    #[error("the connection to the system bus broke")]
    Broken(#[source] zbus::Error),
    /// systemd is not on the bus any more.
    #[error("systemd left the system bus")]
    Left,
}

impl BusError {
    /// Whether systemd says that it has no such unit (any more).
    fn is_unknown_unit(&self) -> bool {
        let Self::Call { source: zbus::Error::MethodError(name, _, _), .. } = self else { return false };
        matches!(
            name.as_str(),
            "org.freedesktop.systemd1.NoSuchUnit"
                | "org.freedesktop.DBus.Error.UnknownObject"
                | "org.freedesktop.DBus.Error.UnknownInterface"
                | "org.freedesktop.DBus.Error.UnknownProperty"
        )
    }

    fn is_already_subscribed(&self) -> bool {
        let Self::Call { source: zbus::Error::MethodError(name, _, _), .. } = self else { return false };
        name.as_str() == "org.freedesktop.systemd1.AlreadySubscribed"
    }
}

/// A unit in a list.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Listed {
    /// What it is really called: `None` for what is no unit's name.
    pub(super) name: Option<UnitName>,
    /// The line that people read.
    pub(super) description: String,
    /// `loaded`, `not-found` and others.
    pub(super) load_state: String,
    /// `active`, `inactive` and others.
    pub(super) active_state: String,
}

/// `(ssssssouso)`: name, description, load, active and sub state, unit that it follows, object, and its job's
/// number, type and object.
type Row = (String, String, String, String, String, String, OwnedObjectPath, u32, String, OwnedObjectPath);

/// A connection to the system bus.
#[derive(Debug)]
pub(super) struct Bus(Connection);

impl Bus {
    /// Connects. All that comes in must be taken from the stream, or answers wait behind it.
    pub(super) async fn connect(address: &BusAddress) -> Result<(Self, MessageStream), BusError> {
        let builder = match address {
            BusAddress::System => Builder::system(),
            BusAddress::At(address) => Builder::address(address.as_str()),
        };
        let build = async { builder.build().await.map_err(BusError::Connect) };
        let connection = in_time("Hello", build).await?;
        let stream = MessageStream::from(&connection);
        Ok((Self(connection), stream))
    }

    /// Asks the bus for signals.
    pub(super) async fn add_match(&self, rule: &str) -> Result<(), BusError> {
        self.of_bus("AddMatch", rule).await.map(drop)
    }

    /// The connection that speaks for systemd.
    pub(super) async fn owner(&self) -> Result<String, BusError> {
        let answer = self.of_bus("GetNameOwner", SYSTEMD).await?;
        answer.body().deserialize().map_err(|_| BusError::Form("GetNameOwner"))
    }

    /// Asks systemd to send signals at all.
    pub(super) async fn subscribe(&self) -> Result<(), BusError> {
        match self.of_manager("Subscribe", &()).await {
            Err(error) if !error.is_already_subscribed() => Err(error),
            _ => Ok(()),
        }
    }

    /// The unit of each name, in that order. systemd loads those that it has not loaded.
    pub(super) async fn units_by_names(&self, names: &[&str]) -> Result<Vec<Listed>, BusError> {
        const METHOD: &str = "ListUnitsByNames";
        let listed = rows(METHOD, &self.of_manager(METHOD, &names).await?)?;
        if listed.len() == names.len() { Ok(listed) } else { Err(BusError::Form(METHOD)) }
    }

    /// Loaded units whose real name matches one of some patterns.
    pub(super) async fn units_by_patterns(&self, patterns: &[&str]) -> Result<Vec<Listed>, BusError> {
        const METHOD: &str = "ListUnitsByPatterns";
        // No pattern would mean all units.
        if patterns.is_empty() {
            return Ok(Vec::new());
        }
        let any_state: &[&str] = &[];
        rows(METHOD, &self.of_manager(METHOD, &(any_state, patterns)).await?)
    }

    /// The path of a unit's cgroup; `None` if it has none.
    pub(super) async fn control_group(&self, unit: &UnitName) -> Result<Option<String>, BusError> {
        let interface = match unit.kind() {
            UnitKind::Service => SERVICE,
            UnitKind::Scope => "org.freedesktop.systemd1.Scope",
            UnitKind::Slice => "org.freedesktop.systemd1.Slice",
            UnitKind::Socket => "org.freedesktop.systemd1.Socket",
            UnitKind::Mount => "org.freedesktop.systemd1.Mount",
            UnitKind::Swap => "org.freedesktop.systemd1.Swap",
            UnitKind::Other => return Ok(None),
        };
        let value = self.property(unit, interface, "ControlGroup").await?;
        let path = value.and_then(|value| String::try_from(value).ok());
        Ok(path.filter(|path| !path.is_empty()))
    }

    /// The first process of a service; `None` if it runs none.
    pub(super) async fn main_process(&self, unit: &UnitName) -> Result<Option<u32>, BusError> {
        if unit.kind() != UnitKind::Service {
            return Ok(None);
        }
        let value = self.property(unit, SERVICE, "MainPID").await?;
        Ok(value.and_then(|value| u32::try_from(value).ok()).filter(|process| *process != 0))
    }

    /// A property; `None` if there is no such unit any more.
    async fn property(
        &self,
        unit: &UnitName,
        interface: &str,
        name: &str,
    ) -> Result<Option<OwnedVariant>, BusError> {
        let (path, body) = (object_path::of_unit(unit), (interface, name));
        let call = self.0.call_method(Some(SYSTEMD), path, Some(PROPERTIES), "Get", &body);
        match answer("Get", call).await {
            Ok(answer) => answer.body().deserialize().map(Some).map_err(|_| BusError::Form("Get")),
            Err(error) if error.is_unknown_unit() => Ok(None),
            Err(error) => Err(error),
        }
    }

    async fn of_bus(&self, method: &'static str, argument: &str) -> Result<Message, BusError> {
        let call = self.0.call_method(Some(BUS), "/org/freedesktop/DBus", Some(BUS), method, &argument);
        answer(method, call).await
    }

    async fn of_manager<B>(&self, method: &'static str, body: &B) -> Result<Message, BusError>
    where
        B: serde::Serialize + zbus::DynamicType,
    {
        let call =
            self.0.call_method(Some(SYSTEMD), "/org/freedesktop/systemd1", Some(MANAGER), method, body);
        answer(method, call).await
    }
}

fn rows(method: &'static str, answer: &Message) -> Result<Vec<Listed>, BusError> {
    let rows: Vec<Row> = answer.body().deserialize().map_err(|_| BusError::Form(method))?;
    let listed = rows.into_iter().map(|(name, description, load_state, active_state, ..)| Listed {
        name: UnitName::new(&name),
        description,
        load_state,
        active_state,
    });
    Ok(listed.collect())
}

async fn answer(
    method: &'static str,
    call: impl Future<Output = zbus::Result<Message>>,
) -> Result<Message, BusError> {
    in_time(method, async { call.await.map_err(|source| BusError::Call { method, source }) }).await
}

async fn in_time<T>(
    method: &'static str,
    result: impl Future<Output = Result<T, BusError>>,
) -> Result<T, BusError> {
    within(DEADLINE, result).await.unwrap_or(Err(BusError::Late(method)))
}
