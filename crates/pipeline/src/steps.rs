//! The one list of steps.
//!
//! To add a step, write `steps/<name>.rs` and add its line here. Order is that of the reference.

use crate::step::StepDef;

macro_rules! steps {
    ($($module:ident :: $step:ident),* $(,)?) => {
        $(pub mod $module;)*
        /// Every step, in the order of the reference.
        pub const ALL: &[StepDef] = &[$(StepDef::of::<$module::$step>()),*];
    };
}

steps! {
    // Text from pages
    extract_text::ExtractText,
    html_content_extraction_modifier::HtmlContentExtractionModifier,
    // Metadata
    move_url_modifier::MoveUrlModifier,
    key_name_modifier::KeyNameModifier,
    random_sampling_filter::RandomSamplingFilter,
    // URLs
    url_substring_filter::UrlSubstringFilter,
    url_blocklist_filter::UrlBlocklistFilter,
    url_removal_modifier::UrlRemovalModifier,
    // Language and quality
    detect_lang_whole_page_enricher::DetectLangWholePageEnricher,
    detect_lang_paragraph_enricher::DetectLangParagraphEnricher,
    language_filter::LanguageFilter,
    classify_fasttext_hq_prob_enricher::ClassifyFasttextHqProbEnricher,
    fasttext::Fasttext,
    ensemble_score::EnsembleScore,
    ken_lm_perplexity_enricher::KenLmPerplexityEnricher,
    quality_filter::QualityFilter,
    // Pages
    page_length_filter::PageLengthFilter,
    word_length_filter::WordLengthFilter,
    symbol_ratio_filter::SymbolRatioFilter,
    bullet_count_filter::BulletCountFilter,
    ellipsis_count_filter::EllipsisCountFilter,
    alphabetic_word_ratio_filter::AlphabeticWordRatioFilter,
    stop_word_filter::StopWordFilter,
    massive_web_repetition_filters::MassiveWebRepetitionFilters,
    repetition_filter::RepetitionFilter,
    substring_filter::SubstringFilter,
    line_length_filter::LineLengthFilter,
    alphanumeric_char_ratio_filter::AlphanumericCharRatioFilter,
    gopher_quality_filter::GopherQualityFilter,
    gopher_repetition_filter::GopherRepetitionFilter,
    fineweb_quality_filter::FinewebQualityFilter,
    c4_quality_filter::C4QualityFilter,
    c4_badwords_filter::C4BadwordsFilter,
    c4_paragraph_filter::C4ParagraphFilter,
    // Counting words
    word_counter_enricher::WordCounterEnricher,
    word_removal_ratio_filter::WordRemovalRatioFilter,
    line_counter_enricher::LineCounterEnricher,
    // Lines
    newline_removal_modifier::NewlineRemovalModifier,
    uppercase_ratio_line_modifier::UppercaseRatioLineModifier,
    numeric_ratio_line_modifier::NumericRatioLineModifier,
    counter_line_modifier::CounterLineModifier,
    line_length_modifier::LineLengthModifier,
    substring_line_modifier::SubstringLineModifier,
    punctuation_line_modifier::PunctuationLineModifier,
    word_length_modifier::WordLengthModifier,
    citation_removal_modifier::CitationRemovalModifier,
    within_page_dedup::WithinPageDedup,
    split_lines_modifier::SplitLinesModifier,
    join_lines_modifier::JoinLinesModifier,
    refinedweb_linewise_filter::RefinedwebLinewiseFilter,
    pii_masking_modifier::PiiMaskingModifier,
    ftfy_modifier::FtfyModifier,
    // LaTeX, questions and answers, code
    arxiv_appendix_modifier::ArxivAppendixModifier,
    arxiv_comment_modifier::ArxivCommentModifier,
    arxiv_macro_modifier::ArxivMacroModifier,
    arxiv_section_strip_modifier::ArxivSectionStripModifier,
    stackexchange_list_modifier::StackexchangeListModifier,
    stackexchange_html_extraction_modifier::StackexchangeHtmlExtractionModifier,
    stackexchange_answer_sort_modifier::StackexchangeAnswerSortModifier,
    stackexchange_qa_formatter::StackexchangeQaFormatter,
    starcoder_v2_repo_splitter::StarcoderV2RepoSplitter,
    starcoder_v2_format_modifier::StarcoderV2FormatModifier,
    github_extension_filter::GithubExtensionFilter,
    alphabetic_characters_to_tokens_filter::AlphabeticCharactersToTokensFilter,
    // Programs and sums of yours
    external::External,
    aggregate::Aggregate,
    // Global deduplication
    exact_dedup::ExactDedup,
    paragraph_dedup::ParagraphDedup,
    line_dedup::LineDedup,
    minhash_dedup::MinhashDedup,
    // Selection by rank
    keep_top::KeepTop,
    percentile_filter::PercentileFilter,
    quality_buckets::QualityBuckets,
    bff_dedup::BffDedup,
    substring_dedup::SubstringDedup,
}

mod fault_injection;
mod pieces;
mod report;
pub mod shared;
mod survivors;

/// The step of a name.
#[must_use]
pub fn find(name: &str) -> Option<&'static StepDef> {
    ALL.iter().chain([fault_injection::HIDDEN]).find(|def| def.name == name)
}

/// The parameters of steps that have none.
#[derive(Debug, serde::Deserialize, schemars::JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct NoParams {}

#[cfg(test)]
pub(crate) mod check;

#[cfg(test)]
mod tests;
