//! PostgreSQL: a server of our own on the machine's binaries, with databases cloned from templates.

use std::collections::HashMap;
use std::fs;
use std::os::unix::fs::{MetadataExt, PermissionsExt, chown};
use std::path::{Path, PathBuf};
use std::pin::Pin;
use std::process::Command;
use std::sync::{Arc, Mutex, PoisonError};

use nix::sys::signal::Signal;
use sqlx::{AssertSqlSafe, Connection, PgConnection};
use tokio::sync::OnceCell;

use crate::error::Error;
use crate::folders;
use crate::network::random_password;
use crate::process::{Lifetime, Process, as_user, run};
use crate::server::{Server, probe};

const SETTINGS: &str = include_str!("../config/postgresql.conf");

/// The system user that runs the server when we are root, which the server refuses to be.
const SERVER_USER: &str = "postgres";

/// The login role that owns every database; it may make roles, as the migrations do.
const OWNER: &str = "tributary";

/// Whether a commit must survive a crash of the machine.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Durability {
    /// Yes.
    Machine,
    /// A crash of the server is enough: tests, whose data nobody wants afterwards.
    Process,
}

/// What fills a template database, given the database's URL.
pub type Fill = fn(
    String,
) -> Pin<
    Box<dyn Future<Output = Result<(), Box<dyn std::error::Error + Send + Sync>>> + Send>,
>;

/// A database that is filled once per server and then cloned in milliseconds.
///
/// ```ignore
/// static MIGRATED: Template = Template::new("migrated", |url| Box::pin(migrate(url)));
/// ```
pub struct Template {
    name: &'static str,
    fill: Fill,
}

impl Template {
    /// The template without anything.
    pub const EMPTY: Self = Self::new("empty", |_url| Box::pin(async { Ok(()) }));

    /// A template; the name (lower-case letters and `_`) tells it from others of the test run.
    #[must_use]
    pub const fn new(name: &'static str, fill: Fill) -> Self {
        Self { name, fill }
    }
}

/// A server.
pub struct Postgres {
    /// Its process.
    pub server: Server,
    address: Address,
    templates: Mutex<HashMap<&'static str, Arc<OnceCell<()>>>>,
}

impl Postgres {
    /// Starts a server whose data, log and password are in `home`, and does not wait for it.
    ///
    /// # Errors
    /// [`Error`] when the folder cannot be initialised or the server cannot be started.
    pub async fn launch(
        home: &Home,
        port: u16,
        durability: Durability,
        lifetime: Lifetime,
    ) -> Result<Self, Error> {
        if !home.data().join("PG_VERSION").exists() {
            home.initialise().await?;
        }
        let settings = home.0.join("postgresql.conf");
        fs::write(&settings, settings_text(home, port, durability))
            .map_err(Error::at(&settings))?;
        let mut command = Command::new(folders::part("postgres")?.join("postgres"));
        command.arg("-D").arg(home.data()).arg("-c");
        command.arg(format!("config_file={}", settings.display())).current_dir(&home.0);
        let mut process = Process::new("PostgreSQL", command, home.0.join("log"), lifetime);
        process.user = server_user();
        // SIGINT asks it to throw its clients out and write everything; SIGQUIT only to release
        // what it holds of the system.
        (process.stop, process.death) = (Signal::SIGINT, Signal::SIGQUIT);
        let address = Address { port, password: home.password()? };
        let admin = address.url("postgres", "postgres");
        let server = Server::launch(process, probe(move || answers(admin.clone())))?;
        Ok(Self { server, address, templates: Mutex::default() })
    }

    /// The URL of a database for its owner.
    #[must_use]
    pub fn url(&self, database: &str) -> String {
        self.address.url(OWNER, database)
    }

    /// The server's own psql, without arguments.
    ///
    /// # Errors
    /// [`Error::NotSetUp`].
    pub fn psql() -> Result<Command, Error> {
        Ok(Command::new(folders::part("postgres")?.join("psql")))
    }

    /// Makes the owner's role, and the database if a name is given, where they do not exist.
    ///
    /// # Errors
    /// [`Error::Database`].
    pub async fn prepare(&self, database: Option<&str>) -> Result<(), Error> {
        let role = format!(
            "DO $$ BEGIN IF NOT EXISTS (SELECT FROM pg_roles WHERE rolname = '{OWNER}') THEN \
             CREATE ROLE {OWNER} LOGIN CREATEROLE PASSWORD '{}'; END IF; END $$",
            self.address.password
        );
        self.administer("makes the owner's role", role).await?;
        let Some(database) = database else { return Ok(()) };
        let mut admin = self.admin().await?;
        let found = sqlx::query("SELECT FROM pg_database WHERE datname = $1").bind(database);
        let found = found.fetch_optional(&mut admin).await;
        if found.map_err(Error::database("looks for the database"))?.is_none() {
            let create = format!("CREATE DATABASE \"{database}\" OWNER {OWNER}");
            self.administer("makes the database", create).await?;
        }
        Ok(())
    }

    /// Makes a database that equals the template and returns its URL; the first caller fills it.
    ///
    /// # Errors
    /// [`Error::Template`] when it cannot be filled, [`Error::Database`] when not cloned.
    pub async fn clone_template(&self, template: &Template, name: &str) -> Result<String, Error> {
        let cell = self.template_cell(template.name);
        cell.get_or_try_init(|| self.fill(template)).await?;
        let clone =
            format!("CREATE DATABASE \"{name}\" TEMPLATE template_{} OWNER {OWNER}", template.name);
        self.administer("clones a template", clone).await?;
        Ok(self.url(name))
    }

    fn template_cell(&self, name: &'static str) -> Arc<OnceCell<()>> {
        let mut templates = self.templates.lock().unwrap_or_else(PoisonError::into_inner);
        Arc::clone(templates.entry(name).or_default())
    }

    async fn fill(&self, template: &Template) -> Result<(), Error> {
        let name = format!("template_{}", template.name);
        self.administer("drops a half-filled template", format!("DROP DATABASE IF EXISTS {name}"))
            .await?;
        self.administer("makes a template", format!("CREATE DATABASE {name} OWNER {OWNER}"))
            .await?;
        (template.fill)(self.url(&name))
            .await
            .map_err(|error| Error::Template { name: template.name, reason: causes(&*error) })?;
        // A database can be cloned only while nobody is connected to it.
        let close = format!(
            "ALTER DATABASE {name} ALLOW_CONNECTIONS false; \
             SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = '{name}'"
        );
        self.administer("closes a template", close).await
    }

    async fn admin(&self) -> Result<PgConnection, Error> {
        let url = self.address.url("postgres", "postgres");
        PgConnection::connect(&url).await.map_err(Error::database("connects"))
    }

    /// Runs statements as the server's superuser; `action` says in an error what they are for.
    ///
    /// # Errors
    /// [`Error::Database`].
    pub async fn administer(&self, action: &str, statements: String) -> Result<(), Error> {
        let mut admin = self.admin().await?;
        let done = sqlx::raw_sql(AssertSqlSafe(statements)).execute(&mut admin).await;
        done.map_err(Error::database(action))?;
        admin.close().await.map_err(Error::database("disconnects"))
    }
}

/// Where a server is, and the password of both its roles.
struct Address {
    port: u16,
    password: String,
}

impl Address {
    fn url(&self, role: &str, database: &str) -> String {
        format!("postgres://{role}:{}@127.0.0.1:{}/{database}", self.password, self.port)
    }
}

async fn answers(url: String) -> Result<(), sqlx::Error> {
    PgConnection::connect(&url).await?.close().await
}

/// The folder of one server, which the server's user owns.
pub struct Home(pub(crate) PathBuf);

impl Home {
    /// `folder/postgres`, or where the server's user can't reach that, `elsewhere/postgres`.
    ///
    /// # Errors
    /// [`Error`] when neither can be made and reached.
    pub async fn choose(folder: &Path, elsewhere: &Path) -> Result<Self, Error> {
        let Some(user) = server_user() else {
            return folders::make(folder.join("postgres")).map(Self);
        };
        let above = if reaches(user, folder).await? { folder } else { elsewhere };
        let home = folders::make(above.to_path_buf())?.join("postgres");
        let mut command = Command::new("install");
        command.args(["-d", "-m", "700", "-o", user, "-g", user]).arg(&home);
        run(command).await.map(|_printed| Self(home))
    }

    /// The password of both roles, once the folder is initialised.
    fn password(&self) -> Result<String, Error> {
        let file = self.password_file();
        fs::read_to_string(&file).map_err(Error::at(&file))
    }

    fn data(&self) -> PathBuf {
        self.0.join("data")
    }

    fn password_file(&self) -> PathBuf {
        self.0.join("password")
    }

    async fn initialise(&self) -> Result<(), Error> {
        let file = self.password_file();
        self.write_password(&file).map_err(Error::at(&file))?;
        let mut command = Command::new("setpriv");
        if let Some(user) = server_user() {
            as_user(&mut command, user);
        }
        command.arg("--").arg(folders::part("postgres")?.join("initdb"));
        command.arg("-D").arg(self.data()).arg("--pwfile").arg(&file).current_dir(&self.0);
        command.args(["-U", "postgres", "-A", "scram-sha-256", "-E", "UTF8", "--locale=C"]);
        command.arg("--no-sync");
        run(command).await.map(|_printed| ())
    }

    /// Only the server's user may read it, and root.
    fn write_password(&self, file: &Path) -> std::io::Result<()> {
        let owner = fs::metadata(&self.0)?;
        fs::write(file, "")?;
        fs::set_permissions(file, fs::Permissions::from_mode(0o600))?;
        chown(file, Some(owner.uid()), Some(owner.gid()))?;
        fs::write(file, random_password()?)
    }
}

fn settings_text(home: &Home, port: u16, durability: Durability) -> String {
    let fsync = if durability == Durability::Machine { "on" } else { "off" };
    let hba = home.data().join("pg_hba.conf").display().to_string();
    format!("{SETTINGS}\nport = {port}\nhba_file = '{hba}'\nfsync = {fsync}\n")
}

fn server_user() -> Option<&'static str> {
    let me = fs::metadata("/proc/self").map_or(0, |process| process.uid());
    (me == 0).then_some(SERVER_USER)
}

/// Whether `user` can pass through this folder and all above it.
async fn reaches(user: &str, folder: &Path) -> Result<bool, Error> {
    let mut command = Command::new("setpriv");
    as_user(&mut command, user);
    command.args(["--", "test", "-x"]).arg(folder);
    match run(command).await {
        Ok(_) => Ok(true),
        Err(Error::Command { .. }) => Ok(false),
        Err(other) => Err(other),
    }
}

fn causes(error: &(dyn std::error::Error + 'static)) -> String {
    let chain = std::iter::successors(Some(error), |error| error.source());
    chain.map(ToString::to_string).collect::<Vec<_>>().join(": ")
}
