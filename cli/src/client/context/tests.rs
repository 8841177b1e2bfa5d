use super::*;
use std::collections::HashMap;
use std::os::unix::fs::PermissionsExt as _;

const CONFIG: &str = "\
current: laptop
contexts:
  laptop: {server: 127.0.0.1:7433, token: local-secret}
  cluster: {server: 'https://gristmill.example.org', token_file: cluster.token}
";

struct Case {
    folder: tempfile::TempDir,
    args: ConnectionArgs,
    env: HashMap<&'static str, String>,
}

impl Case {
    fn new(config: &str) -> Self {
        let folder = tempfile::tempdir().expect("folder");
        let write = |name: &str, text: &str| {
            let path = folder.path().join(name);
            std::fs::create_dir_all(path.parent().expect("a parent")).expect("folder");
            std::fs::write(&path, text).expect("write");
            std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o600)).expect("chmod");
        };
        write("gristmill/config.yaml", config);
        write("gristmill/cluster.token", "cluster-secret\n");
        write("flag.token", "flag-secret\n");
        let env = HashMap::from([("XDG_CONFIG_HOME", folder.path().to_str().expect("text").to_owned())]);
        Self { folder, args: ConnectionArgs::default(), env }
    }

    fn flag(mut self, set: impl FnOnce(&mut ConnectionArgs, &Path)) -> Self {
        set(&mut self.args, self.folder.path());
        self
    }

    fn env(mut self, name: &'static str, value: &str) -> Self {
        self.env.insert(name, value.to_owned());
        self
    }

    fn resolve(&self) -> (anyhow::Result<Connection>, Vec<String>) {
        let mut warnings = Vec::new();
        let env = |name: &str| self.env.get(name).map(OsString::from);
        (self.args.resolve_in(&env, &mut warnings), warnings)
    }

    #[track_caller]
    fn check(&self, server: &str, token: Option<&str>) {
        let (connection, _) = self.resolve();
        let connection = connection.expect("a connection");
        assert_eq!(
            (connection.server.as_str(), connection.token.as_ref().map(Secret::reveal)),
            (server, token)
        );
        assert!(!format!("{connection:?}").contains("secret\""), "{connection:?}");
    }

    #[track_caller]
    fn refused(&self, part: &str) {
        let error = self.resolve().0.expect_err("it is refused");
        let message = format!("{error:#}");
        assert!(message.contains(part), "{message}");
        assert!(!message.contains("secret"), "{message}");
    }
}

#[test]
fn flags_come_before_the_environment_and_that_before_the_file() {
    let local = "http://127.0.0.1:7433";
    Case::new(CONFIG).check(local, Some("local-secret"));
    let cluster = "https://gristmill.example.org";
    Case::new(CONFIG)
        .flag(|args, _| args.context = Some("cluster".into()))
        .check(cluster, Some("cluster-secret"));
    Case::new(CONFIG).env("GRISTMILL_CONTEXT", "cluster").check(cluster, Some("cluster-secret"));
    Case::new(CONFIG).env("GRISTMILL_TOKEN", "env-secret").check(local, Some("env-secret"));
    let both = Case::new(CONFIG).env("GRISTMILL_SERVER", "env:1").env("GRISTMILL_TOKEN", "env-secret");
    let both = both.flag(|args, folder| args.token_file = Some(folder.join("flag.token")));
    both.check("http://env:1", Some("flag-secret"));
    // A context that is asked for by a flag is a flag.
    let named = Case::new(CONFIG).env("GRISTMILL_SERVER", "env:1");
    named.flag(|args, _| args.context = Some("cluster".into())).check(cluster, Some("cluster-secret"));
}

#[test]
fn the_token_of_the_current_context_goes_to_no_other_server() {
    Case::new(CONFIG).flag(|args, _| args.server = Some("other:1".into())).check("http://other:1", None);
    Case::new(CONFIG).env("GRISTMILL_SERVER", "other:1").check("http://other:1", None);
    let named = Case::new(CONFIG).env("GRISTMILL_CONTEXT", "cluster");
    named.flag(|args, _| args.server = Some("other:1".into())).check("http://other:1", None);
}

#[test]
fn what_cannot_be_used_is_refused_and_shows_no_token() {
    Case::new("").refused("no server is named");
    Case::new("current: x").refused("has no context \"x\"; it has: none");
    Case::new("contexts:\n  a: {sever: x, token: secret}").refused("sever");
    Case::new("contexts:\n  a: {token: secret, token: [secret]}").refused("config.yaml");
    Case::new("contexts: {a: {server: 'h:1', token: secret, token_file: x}}\ncurrent: a")
        .refused("leave one");
    Case::new(CONFIG)
        .flag(|args, _| args.client_config = Some("/nowhere.yaml".into()))
        .refused("/nowhere.yaml");
    Case::new("").env("GRISTMILL_SERVER", "h:1").env("GRISTMILL_TOKEN", " ").refused("the token is empty");
    Case::new("").env("GRISTMILL_SERVER", "h:1").env("GRISTMILL_CLIENT_KEY", "/k").refused("--client-cert");
    Case::new("").env("GRISTMILL_SERVER", "h:1").env("GRISTMILL_CA", "/nowhere.pem").refused("/nowhere.pem");
}

#[test]
fn a_token_that_others_can_read_or_hear_gets_a_warning() {
    let case = Case::new(CONFIG);
    assert_eq!(case.resolve().1, Vec::<String>::new());
    let file = case.folder.path().join("gristmill/config.yaml");
    std::fs::set_permissions(&file, std::fs::Permissions::from_mode(0o644)).expect("chmod");
    let warnings = case.resolve().1;
    assert!(warnings.len() == 1 && warnings[0].contains("chmod 600"), "{warnings:?}");
    let far = Case::new("").env("GRISTMILL_SERVER", "far.example:1").env("GRISTMILL_TOKEN", "secret");
    let warnings = far.resolve().1;
    assert!(warnings.len() == 1 && warnings[0].contains("unencrypted"), "{warnings:?}");
}

#[test]
fn addresses_say_whether_they_are_asked_by_tls() {
    let check = |text: &str, certificates: bool, expected: Option<(&str, bool)>| {
        let result = address(text, certificates).ok();
        assert_eq!(result, expected.map(|(server, tls)| (server.to_owned(), tls)), "{text}");
    };
    check("host:1", false, Some(("http://host:1", false)));
    check("host:1", true, Some(("https://host:1", true)));
    check("[::1]:1", false, Some(("http://[::1]:1", false)));
    check("https://host", false, Some(("https://host", true)));
    check("https://host:1/", false, Some(("https://host:1", true)));
    check("http://host:1", true, None);
    for text in ["host", "host:", "host:99999", "ftp://host:1", "http://user@host:1", "host:1/path", ""] {
        check(text, false, None);
    }
    assert!(is_local("http://127.0.0.1:1") && is_local("http://[::1]:1") && is_local("http://localhost:1"));
    assert!(!is_local("http://10.0.0.1:1") && !is_local("http://localhost.evil:1"));
}
