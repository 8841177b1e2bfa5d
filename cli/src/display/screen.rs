//! What the live view draws: a pure function of a job, a note and the time.
//!
//! From top to bottom: the job, its stages, what becomes of its documents, the attempts that run, those that failed.
//! Each part has a least height and a height that it would like; rows are handed out until there are no more.

use super::words::{self, bytes, clean, count, duration, rate, share};
use gristmill_proto::v1;
use ratatui::Frame;
use ratatui::layout::Rect;
use ratatui::style::{Color, Style};
use ratatui::text::{Line, Span};
use ratatui::widgets::Paragraph;
use std::fmt::Write as _;
use std::time::SystemTime;

/// Rows of running attempts that are worth their place while there is more to show.
const RUNNING_LIKED: usize = 8;
/// The widest bar.
const BAR_MAX: usize = 32;
/// An attempt that was silent for so long is pointed at.
const SILENT: f64 = 15.0;

pub(super) fn draw(frame: &mut Frame, job: &v1::Job, notice: &str, now: SystemTime) {
    let area = frame.area();
    let width = usize::from(area.width);
    let head = head(job, width, now);
    let body = usize::from(area.height).saturating_sub(head.len() + 1);
    let parts = [
        Part { least: 3, liked: 1 + job.stages.len(), lines: stages },
        Part { least: 4, liked: 3 + reasons(job).len(), lines: documents },
        Part { least: 2, liked: heading_and(job.recent_failures.len()), lines: failures },
        Part { least: 2, liked: heading_and(job.running.len().min(RUNNING_LIKED)), lines: running },
    ];
    let heights = heights(body, &parts.each_ref().map(|part| (part.least, part.liked)));
    let mut lines = head;
    for (part, height) in parts.iter().zip(heights) {
        if height > 0 {
            let mut rows = (part.lines)(job, width, height, now);
            rows.truncate(height);
            lines.append(&mut rows);
        }
    }
    frame.render_widget(Paragraph::new(lines), area);
    let foot = Rect { y: area.bottom().saturating_sub(1), height: area.height.min(1), ..area };
    frame.render_widget(Paragraph::new(footer(job, notice, width)), foot);
}

struct Part {
    least: usize,
    liked: usize,
    lines: fn(&v1::Job, usize, usize, SystemTime) -> Vec<Line<'static>>,
}

fn heading_and(rows: usize) -> usize {
    if rows == 0 { 0 } else { 1 + rows }
}

/// Hands out rows: first what each part needs, in order, then one by one to those that would like more.
fn heights<const N: usize>(rows: usize, parts: &[(usize, usize); N]) -> [usize; N] {
    let mut left = rows;
    let mut heights = parts.map(|(least, liked)| {
        let given = least.min(liked).min(left);
        left -= given;
        given
    });
    loop {
        let before = left;
        for (height, (_, liked)) in heights.iter_mut().zip(parts) {
            if left > 0 && *height < *liked {
                *height += 1;
                left -= 1;
            }
        }
        if left == before {
            return heights;
        }
    }
}

fn head(job: &v1::Job, width: usize, now: SystemTime) -> Vec<Line<'static>> {
    let age = words::age(job, now).map_or_else(String::new, |seconds| format!(" {}", duration(seconds)));
    let name = if job.name.is_empty() { String::new() } else { format!(" {} ", clean(&job.name)) };
    let right = format!("{}{age} ", words::job_state(job));
    let left = cut(&format!(" {}", clean(&job.id)), width.saturating_sub(name.len() + right.len()));
    let space = width.saturating_sub(name.len() + right.len() + Span::raw(left.as_str()).width());
    let mut lines = vec![Line::from(vec![
        Span::styled(name, Style::new().bold()),
        Span::raw(left),
        Span::raw(" ".repeat(space)),
        Span::styled(right, state_style(job.state())),
    ])];
    let mut about = vec![format!(" priority {}", words::priority_name(job.priority()))];
    if job.input_files > 0 {
        about.push(format!("{} files, {}", count(job.input_files), bytes(job.input_bytes)));
    }
    about.push(format!("to {}", clean(&job.output)));
    let mut labels: Vec<String> =
        job.labels.iter().map(|(key, value)| format!("{}={}", clean(key), clean(value))).collect();
    labels.sort();
    about.extend(labels);
    lines.push(Line::from(cut(&about.join("  "), width)));
    if !job.reason.is_empty() {
        let reason = format!(" {}", clean(&job.reason));
        lines.push(Line::styled(cut(&reason, width), state_style(job.state())));
    }
    lines
}

fn stages(job: &v1::Job, width: usize, height: usize, _: SystemTime) -> Vec<Line<'static>> {
    if job.stages.is_empty() {
        let why = if job.state() == v1::JobState::Planning { "the input is being listed" } else { "no plan" };
        return vec![heading("stages", why, width)];
    }
    let now = words::stage_now(job);
    let left = job.rates.and_then(|rates| rates.stage_seconds_left).filter(|_| !words::has_ended(job));
    let left = left.map_or_else(String::new, |seconds| format!("{} left in this stage", duration(seconds)));
    let mut lines = vec![heading("stages", &left, width)];
    let tasks = |stage: &v1::Stage| format!("{}/{}", count(stage.tasks_done), count(stage.tasks));
    let tasks_width = job.stages.iter().map(|stage| tasks(stage).len()).max().unwrap_or(0);
    let title_width =
        job.stages.iter().map(|stage| stage.title.chars().count()).max().unwrap_or(0).min(width / 3);
    let failed = |stage: &v1::Stage| match stage.tasks_failed {
        0 => String::new(),
        n => format!("  {} failed", count(n)),
    };
    let failed_width = job.stages.iter().map(|stage| failed(stage).len()).max().unwrap_or(0);
    // ` 12 title bar 3/64 100 %  1 failed`, and what is left is the bar's.
    let bar_width = width.saturating_sub(title_width + tasks_width + failed_width + 12).clamp(4, BAR_MAX);
    let rows = height.saturating_sub(1);
    let first = now.saturating_sub(rows / 2).min(job.stages.len().saturating_sub(rows));
    for (index, stage) in job.stages.iter().enumerate().skip(first).take(rows) {
        let share = if stage.committed { 1.0 } else { stage.tasks_done as f64 / stage.tasks.max(1) as f64 };
        let style = if stage.committed {
            Style::new().fg(Color::Green)
        } else if index == now {
            Style::new().fg(Color::Cyan)
        } else {
            Style::new().dim()
        };
        let title = cut(&clean(&stage.title), title_width);
        let mut spans = vec![
            Span::raw(format!(" {:>2} {title:<title_width$} ", stage.number)),
            Span::styled(bar(share, bar_width), style),
            // 100 % is said only when all is done.
            Span::raw(format!(" {:>tasks_width$} {:>3} %", tasks(stage), (share * 100.0).floor())),
        ];
        spans.push(Span::styled(failed(stage), Style::new().fg(Color::Red)));
        lines.push(Line::from(spans));
    }
    lines
}

/// Why documents are not in the dataset, the most frequent reason first.
fn reasons(job: &v1::Job) -> Vec<(String, u64)> {
    let Some(tally) = &job.documents else { return Vec::new() };
    let dropped = words::most_first(&tally.dropped).into_iter().map(|(reason, n)| (clean(reason), n));
    let broken = words::most_first(&tally.broken)
        .into_iter()
        .map(|(reason, n)| (format!("broken: {}", clean(reason)), n));
    let mut reasons: Vec<(String, u64)> = dropped.chain(broken).collect();
    reasons.sort_by_key(|(_, n)| std::cmp::Reverse(*n));
    reasons
}

fn documents(job: &v1::Job, width: usize, height: usize, _: SystemTime) -> Vec<Line<'static>> {
    let rates = job.rates.unwrap_or_default();
    let mut speeds = Vec::new();
    if rates.documents_per_second > 0.0 {
        speeds.push(rate(rates.documents_per_second, "documents"));
    }
    if rates.tasks_per_second > 0.0 {
        speeds.push(rate(rates.tasks_per_second, "tasks"));
    }
    let speeds = if words::has_ended(job) { String::new() } else { speeds.join(", ") };
    let mut lines = vec![heading("documents", &speeds, width)];
    let none = v1::Tally::default();
    let tally = job.documents.as_ref().unwrap_or(&none);
    let mut reasons = reasons(job);
    let rows = height.saturating_sub(3);
    if reasons.len() > rows && rows > 0 {
        let others = reasons.split_off(rows - 1);
        let sum = others.iter().map(|(_, n)| n).sum();
        reasons.push((format!("{} more reasons", others.len()), sum));
    }
    let numbers = count(tally.seen).len().max(9);
    let row = |what: &str, n: u64, style: Style| {
        let share_text = share(n, tally.seen);
        let what_width = width.saturating_sub(numbers + 28).clamp(12, 44);
        let what = cut(what, what_width);
        let bar_width = width.saturating_sub(numbers + what_width + 13).min(BAR_MAX);
        let filled = bar(n as f64 / tally.seen.max(1) as f64, bar_width);
        Line::from(vec![
            Span::styled(format!(" {what:<what_width$}"), style),
            Span::raw(format!(" {:>numbers$} {share_text:>7} ", count(n))),
            Span::styled(filled, style),
        ])
    };
    lines.push(row("in", tally.seen, Style::new().bold()));
    if tally.made > 0 {
        lines.push(row("made of those", tally.made, Style::new()));
    }
    lines.push(row("kept", tally.kept, Style::new().fg(Color::Green)));
    lines.extend(reasons.iter().map(|(reason, n)| row(reason, *n, Style::new())));
    lines
}

fn running(job: &v1::Job, width: usize, height: usize, _: SystemTime) -> Vec<Line<'static>> {
    let mut lines = vec![heading(&format!("running: {}", job.running.len()), "", width)];
    for attempt in job.running.iter().take(height.saturating_sub(1)) {
        let v1::Attempt { stage, task, attempt: number, documents_seen, documents_kept, .. } = attempt;
        let mut text =
            format!(" {:<12} {:>7}", format!("{stage}/{task} #{number}"), duration(attempt.running_seconds));
        if *documents_seen > 0 {
            let _ = write!(
                text,
                "  {} seen, {} kept",
                count(*documents_seen),
                share(*documents_kept, *documents_seen)
            );
        }
        let silent = attempt.idle_seconds > SILENT;
        if silent {
            let _ = write!(text, "  silent for {}", duration(attempt.idle_seconds));
        }
        let _ = write!(text, "  {}", clean(&attempt.worker));
        let style = if silent { Style::new().fg(Color::Yellow) } else { Style::new() };
        lines.push(Line::styled(cut(&text, width), style));
    }
    lines
}

fn failures(job: &v1::Job, width: usize, height: usize, now: SystemTime) -> Vec<Line<'static>> {
    let mut lines = vec![heading("recent failures", "", width)];
    for failure in job.recent_failures.iter().take(height.saturating_sub(1)) {
        let v1::AttemptFailure { stage, task, attempt, worker, at, error } = failure;
        let ago = words::seconds_since(at.as_ref(), now)
            .map_or_else(String::new, |s| format!("{} ago", duration(s)));
        let what = format!("{stage}/{task} #{attempt}");
        let text = format!(" {what:<12} {ago:>11}  {}  {}", clean(worker), clean(error));
        lines.push(Line::styled(cut(&text, width), Style::new().fg(Color::Red)));
    }
    lines
}

fn footer(job: &v1::Job, notice: &str, width: usize) -> Line<'static> {
    if !notice.is_empty() {
        return Line::styled(cut(&format!(" {}", clean(notice)), width), Style::new().fg(Color::Yellow));
    }
    let text = if words::has_ended(job) { " q leaves" } else { " q leaves; the job goes on" };
    Line::styled(cut(text, width), Style::new().dim())
}

/// `── stages ────── 4m 10s left ──`.
fn heading(name: &str, right: &str, width: usize) -> Line<'static> {
    let left = format!("── {name} ");
    let right = if right.is_empty() { String::new() } else { format!(" {right} ──") };
    let line = width.saturating_sub(left.chars().count() + right.chars().count());
    Line::styled(cut(&format!("{left}{}{right}", "─".repeat(line)), width), Style::new().dim())
}

fn bar(share: f64, width: usize) -> String {
    let filled = ((share.clamp(0.0, 1.0) * width as f64) as usize).min(width);
    format!("{}{}", "█".repeat(filled), "░".repeat(width - filled))
}

/// As much of a text as fits.
fn cut(text: &str, width: usize) -> String {
    if Span::raw(text).width() <= width {
        return text.to_owned();
    }
    let mut out = String::new();
    let mut used = 1;
    for c in text.chars() {
        used += Span::raw(c.encode_utf8(&mut [0; 4]) as &str).width();
        if used > width {
            break;
        }
        out.push(c);
    }
    if width > 0 {
        out.push('…');
    }
    out
}

fn state_style(state: v1::JobState) -> Style {
    let colour = match state {
        v1::JobState::Done => Color::Green,
        v1::JobState::Failed => Color::Red,
        v1::JobState::Paused | v1::JobState::Cancelled => Color::Yellow,
        v1::JobState::Planning | v1::JobState::Running | v1::JobState::Unspecified => Color::Cyan,
    };
    Style::new().fg(colour).bold()
}

#[cfg(test)]
mod tests;
