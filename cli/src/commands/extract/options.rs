//! The parameters of the step `extract_text` as flags.

/// Flags by the names the parameters have in recipes, with hyphens. A switch alone means true; `--links=false` is said so.
#[derive(clap::Args)]
#[command(next_help_heading = "Resiliparse's options")]
pub(super) struct Options {
    /// Answer as Resiliparse 0.14.7 or 2.0.1
    #[arg(long, value_name = "VERSION")]
    version: Option<String>,
    #[command(flatten)]
    switches: Switches,
    /// A CSS selector of elements to leave out (repeatable)
    #[arg(long, value_name = "SELECTOR")]
    skip_elements: Vec<String>,
    /// How bytes become text: detect, or dclm for strict UTF-8
    #[arg(long)]
    charset: Option<String>,
}

macro_rules! switches {
    ($($(#[doc = $doc:literal])* $name:ident)*) => {
        #[derive(clap::Args)]
        struct Switches {
            $(
                $(#[doc = $doc])*
                #[arg(long, value_name = "BOOL", num_args = 0..=1, require_equals = true, default_missing_value = "true")]
                $name: Option<bool>,
            )*
        }

        impl Switches {
            fn given(&self) -> impl Iterator<Item = String> {
                [$((stringify!($name), self.$name)),*]
                    .into_iter()
                    .filter_map(|(name, value)| Some(format!("{name}={}", value?)))
            }
        }
    };
}

switches! {
    /// Only the main content
    main_content
    /// Line breaks, list bullets and indentation
    preserve_formatting
    /// A bullet or the number in front of list items
    list_bullets
    /// The alt texts of images
    alt_texts
    /// Addresses behind links
    links
    /// Form fields and their values
    form_fields
    /// What pages show without scripting
    noscript
    /// Comment sections count as main content
    comments
    /// Bylines and dates do (2.0.1 only)
    post_meta
    /// Elements with a class like `hidden` do (2.0.1 only)
    hidden_elements
}

impl Options {
    /// What was given, as overrides of the step's parameters.
    pub(super) fn overrides(&self) -> Vec<String> {
        let mut overrides: Vec<String> = self.switches.given().collect();
        // JSON is YAML, whatever the words have in them.
        let mut add = |name, value: serde_json::Value| overrides.push(format!("{name}={value}"));
        for (name, word) in [("version", &self.version), ("charset", &self.charset)] {
            if let Some(word) = word {
                add(name, word.as_str().into());
            }
        }
        if !self.skip_elements.is_empty() {
            add("skip_elements", self.skip_elements.clone().into());
        }
        overrides
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use clap::Parser;

    #[derive(Parser)]
    struct Command {
        path: String,
        #[command(flatten)]
        options: Options,
    }

    #[test]
    fn flags_are_the_steps_parameters() {
        let overrides = |line: &str| {
            let command = Command::try_parse_from(line.split(' ')).expect("flags");
            assert_eq!(command.path, "page.html");
            command.options.overrides().join(" ")
        };
        assert_eq!(overrides("extract page.html"), "");
        assert_eq!(
            overrides("extract --links --main-content=false --post-meta=true page.html"),
            "main_content=false links=true post_meta=true"
        );
        assert_eq!(
            overrides("extract page.html --version 2.0.1 --skip-elements p>a --skip-elements [x=\"y\"]"),
            "version=\"2.0.1\" skip_elements=[\"p>a\",\"[x=\\\"y\\\"]\"]"
        );
        assert!(Command::try_parse_from(["extract", "page.html", "--links=maybe"]).is_err());
    }
}
