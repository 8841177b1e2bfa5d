//! The scripts, by name. Each is `common.lua` and its own file.

use redis::Script;

macro_rules! scripts {
    ($($name:ident),* $(,)?) => {
        /// All scripts of the queue.
        pub(super) struct Scripts {
            $(pub(super) $name: Script,)*
        }

        impl Scripts {
            pub(super) fn new() -> Self {
                Self {
                    $($name: Script::new(concat!(
                        include_str!("scripts/common.lua"),
                        include_str!(concat!("scripts/", stringify!($name), ".lua"))
                    )),)*
                }
            }
        }
    };
}

scripts!(
    accept, adopt, claim, dead, depth, enqueue, expire, fail, finish, heartbeat, live, release, remove,
    revive, running, settled, sweep,
);
