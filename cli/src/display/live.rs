//! The whole terminal, for as long as somebody watches: the alternate screen in raw mode, given back however the
//! watching ends, by [`Drop`].
//!
//! Keys are read by a thread of their own, since reading them blocks; it looks ten times a second whether it is still
//! wanted.

use super::screen::draw;
use gristmill_proto::v1;
use ratatui::Terminal;
use ratatui::backend::CrosstermBackend;
use ratatui::crossterm::event::{self, Event, KeyCode, KeyEvent, KeyEventKind, KeyModifiers};
use ratatui::crossterm::execute;
use ratatui::crossterm::terminal::{
    EnterAlternateScreen, LeaveAlternateScreen, disable_raw_mode, enable_raw_mode,
};
use std::io::{self, IsTerminal as _, Stderr};
use std::time::{Duration, SystemTime};
use tokio::sync::mpsc;

const LOOK_EVERY: Duration = Duration::from_millis(100);

/// What the person before the terminal did.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Input {
    Leave,
    Resize,
}

pub(crate) struct Live {
    terminal: Terminal<CrosstermBackend<Stderr>>,
    inputs: mpsc::Receiver<Input>,
}

/// Whether there is a terminal to take, with somebody before it.
pub(crate) fn is_possible() -> bool {
    let dumb = std::env::var_os("TERM").is_none_or(|term| term == "dumb");
    !dumb && io::stdin().is_terminal() && io::stdout().is_terminal() && io::stderr().is_terminal()
}

impl Live {
    pub(crate) fn enter() -> io::Result<Self> {
        enable_raw_mode()?;
        let entered = execute!(io::stderr(), EnterAlternateScreen)
            .and_then(|()| Terminal::new(CrosstermBackend::new(io::stderr())));
        let terminal = entered.inspect_err(|_| leave())?;
        let (send, inputs) = mpsc::channel(16);
        // It ends when nobody receives any more.
        std::thread::spawn(move || {
            while !send.is_closed() {
                let event = match event::poll(LOOK_EVERY) {
                    Ok(false) => continue,
                    Ok(true) => event::read(),
                    Err(error) => Err(error),
                };
                let Ok(event) = event else { return };
                if let Some(input) = meaning(&event)
                    && send.blocking_send(input).is_err()
                {
                    return;
                }
            }
        });
        Ok(Self { terminal, inputs })
    }

    pub(crate) fn draw(&mut self, job: &v1::Job, notice: &str) -> io::Result<()> {
        self.terminal.draw(|frame| draw(frame, job, notice, SystemTime::now()))?;
        Ok(())
    }

    /// The next key that means something; a terminal that is gone means to leave.
    pub(crate) async fn input(&mut self) -> Input {
        self.inputs.recv().await.unwrap_or(Input::Leave)
    }
}

impl Drop for Live {
    fn drop(&mut self) {
        leave();
    }
}

/// There is nobody to tell if the terminal does not listen.
fn leave() {
    let _ = execute!(io::stderr(), LeaveAlternateScreen, ratatui::crossterm::cursor::Show);
    let _ = disable_raw_mode();
}

fn meaning(event: &Event) -> Option<Input> {
    match event {
        Event::Key(KeyEvent { code, modifiers, kind: KeyEventKind::Press, .. }) => match code {
            KeyCode::Char('q') | KeyCode::Esc => Some(Input::Leave),
            // In raw mode the terminal makes no signal of it.
            KeyCode::Char('c') if modifiers.contains(KeyModifiers::CONTROL) => Some(Input::Leave),
            _ => None,
        },
        Event::Resize(..) => Some(Input::Resize),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn q_escape_and_control_c_leave() {
        let key = |code, modifiers| meaning(&Event::Key(KeyEvent::new(code, modifiers)));
        assert_eq!(key(KeyCode::Char('q'), KeyModifiers::NONE), Some(Input::Leave));
        assert_eq!(key(KeyCode::Esc, KeyModifiers::NONE), Some(Input::Leave));
        assert_eq!(key(KeyCode::Char('c'), KeyModifiers::CONTROL), Some(Input::Leave));
        assert_eq!(key(KeyCode::Char('c'), KeyModifiers::NONE), None);
        assert_eq!(meaning(&Event::Resize(60, 15)), Some(Input::Resize));
    }
}
