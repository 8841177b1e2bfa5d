//! Jobs by the beginning of their id.

use super::Client;
use crate::failure::Failure;
use anyhow::anyhow;
use gristmill_proto::v1;
use tonic::Code;

const PAGE: u32 = 1000;
/// How much alike an id must be to be worth a question.
const ALIKE: f64 = 0.6;

impl Client {
    /// The job of this id, or the only one whose id begins so.
    pub(crate) async fn find(&self, id: &str) -> Result<v1::Job, Failure> {
        match self.job(id).await {
            Err(error) if error.code() == Code::NotFound => {}
            result => return result.map_err(Failure::from),
        }
        let mut search = Search::new(id);
        let mut page_token = String::new();
        loop {
            let request =
                v1::ListJobsRequest { page_size: PAGE, page_token, ..v1::ListJobsRequest::default() };
            let page = self.jobs(request).await?;
            for job in &page.jobs {
                search.look_at(&job.id);
            }
            page_token = page.next_page_token;
            if page_token.is_empty() {
                break;
            }
        }
        let found = search.result().map_err(|why| Failure::Request(anyhow!(why)))?;
        Ok(self.job(&found).await?)
    }
}

struct Search<'a> {
    wanted: &'a str,
    /// The first few that begin so.
    matching: Vec<String>,
    nearest: Option<(f64, String)>,
}

impl<'a> Search<'a> {
    fn new(wanted: &'a str) -> Self {
        Self { wanted, matching: Vec::new(), nearest: None }
    }

    fn look_at(&mut self, id: &str) {
        if id.starts_with(self.wanted) && !self.wanted.is_empty() && self.matching.len() < 4 {
            self.matching.push(id.to_owned());
        }
        let alike = strsim::normalized_damerau_levenshtein(self.wanted, id);
        if alike >= self.nearest.as_ref().map_or(ALIKE, |(best, _)| *best) {
            self.nearest = Some((alike, id.to_owned()));
        }
    }

    fn result(self) -> Result<String, String> {
        let wanted = self.wanted;
        match (&self.matching[..], self.nearest) {
            ([one], _) => Ok(one.clone()),
            ([], Some((_, nearest))) => Err(format!("there is no job {wanted:?}; did you mean {nearest}?")),
            ([], None) => Err(format!("there is no job {wanted:?}; `gristmill jobs --all` lists them")),
            (several, _) => Err(format!(
                "{wanted:?} begins the ids of several jobs, {}, …; give more of it",
                several.join(", ")
            )),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(wanted: &str, expected: Result<&str, &str>) {
        let mut search = Search::new(wanted);
        for id in ["news-0123abcd", "news-01ff0000", "web-99887766"] {
            search.look_at(id);
        }
        let result = search.result();
        match expected {
            Ok(id) => assert_eq!(result.as_deref(), Ok(id)),
            Err(part) => assert!(result.as_ref().is_err_and(|why| why.contains(part)), "{result:?}"),
        }
    }

    #[test]
    fn a_prefix_is_enough_if_it_is_the_only_one() {
        check("web", Ok("web-99887766"));
        check("news-012", Ok("news-0123abcd"));
        check("news-01", Err("several jobs, news-0123abcd, news-01ff0000"));
        check("wev-99887766", Err("did you mean web-99887766?"));
        check("quite-another", Err("`gristmill jobs --all`"));
        check("", Err("there is no job"));
    }
}
