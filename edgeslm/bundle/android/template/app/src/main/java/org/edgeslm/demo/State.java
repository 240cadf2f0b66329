package org.edgeslm.demo;

/** What there is to show, at one moment. */
final class State {
    /** What goes on. */
    enum Phase {
        OPENING,
        READY,
        ANSWERING,
        PROBING,
        /** The model could not be opened: there is nothing to run. */
        BROKEN
    }

    /** What to say below the buttons. */
    enum Word {
        OPENING,
        READY,
        ANSWERING,
        PROBING,
        SPEED,
        CANCELLED,
        TOOK,
        PROBED,
        FAILED
    }

    final Phase phase;
    final Word word;
    /** What {@link #word} speaks of, in the order of its text. */
    final Object[] details;

    final String text;
    /** The probe's report as lines of JSON; null before a probe. */
    final String report;

    State(Phase phase, Word word, Object[] details, String text, String report) {
        this.phase = phase;
        this.word = word;
        this.details = details.clone();
        this.text = text;
        this.report = report;
    }
}
