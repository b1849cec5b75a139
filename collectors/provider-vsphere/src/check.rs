//! What an account sees in a vCenter, and whether that is enough.

use crate::error::ApiError;
use crate::map;
use crate::session::Session;
use crate::updates::Ref;
use provider::{Privilege, Report};
use records::TypeName;

/// What the role Read-only consists of, as far as it is needed: `System.View` shows that an object
/// is there, `System.Read` what it is like.
const PRIVILEGES: [&str; 2] = ["System.View", "System.Read"];
/// The types to look for. Those that extend them come along.
const VIEW_TYPES: &[&str] = &[
    "Folder",
    "Datacenter",
    "ComputeResource",
    "ResourcePool",
    "Datastore",
    "Network",
    "HostSystem",
    "VirtualMachine",
];
/// How many objects one question may be about.
const OBJECTS_MAX: usize = 1000;

/// Looks, and changes nothing.
///
/// # Errors
/// [`ApiError`].
pub async fn report(session: &mut Session, types: &[TypeName]) -> Result<Report, ApiError> {
    let root = session.content().root.clone();
    let mut objects = vec![root.clone()];
    objects.extend(visible(session).await?);
    let mut privileges = granted(session, "root folder", &[root]).await?;
    privileges.extend(granted(session, "all objects", &objects).await?);
    Ok(Report {
        api: session.content().full_name.clone(),
        account: session.user.clone(),
        privileges,
        objects: types.iter().map(|name| (name.to_string(), count(name, &objects))).collect(),
    })
}

/// All objects under the root folder, of which only the references are asked for.
async fn visible(session: &mut Session) -> Result<Vec<Ref>, ApiError> {
    let view = session.create_view(VIEW_TYPES).await?;
    let spec = "<propSet><type>ContainerView</type><pathSet>view</pathSet></propSet>";
    let contents = session.read(&[view], spec).await?;
    let properties = contents.into_iter().flat_map(|content| content.properties);
    let values = properties.filter_map(|(_, value)| value);
    Ok(values.flat_map(|value| value.children).filter_map(|child| Ref::read(&child)).collect())
}

async fn granted(
    session: &mut Session,
    place: &str,
    objects: &[Ref],
) -> Result<Vec<Privilege>, ApiError> {
    let mut privileges =
        PRIVILEGES.map(|name| Privilege { name: format!("{name} on {place}"), granted: true });
    for chunk in objects.chunks(OBJECTS_MAX) {
        let answers = session.granted(&PRIVILEGES, chunk).await?;
        for (privilege, granted) in privileges.iter_mut().zip(answers) {
            privilege.granted &= granted;
        }
    }
    Ok(privileges.into())
}

fn count(entity_type: &TypeName, objects: &[Ref]) -> u64 {
    let is_of = |object: &&Ref| {
        map::kind(object).is_some_and(|kind| kind.entity_type == entity_type.as_str())
    };
    objects.iter().filter(is_of).map(|_| 1).sum()
}
