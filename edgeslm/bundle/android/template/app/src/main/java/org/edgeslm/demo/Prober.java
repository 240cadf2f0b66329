package org.edgeslm.demo;

import java.io.IOException;
import org.edgeslm.probe.Event;
import org.edgeslm.probe.EventSink;
import org.edgeslm.probe.Limit;
import org.edgeslm.probe.Probe;
import org.edgeslm.probe.ProbeOptions;
import org.edgeslm.probe.ProbedModel;
import org.edgeslm.probe.Platform;
import org.edgeslm.probe.Summary;

/** The probe behind the button: lines for a person, and the report for whoever it is shared with. */
final class Prober {
    /** Takes a line for a person, on the thread that measures. */
    interface Lines {
        void line(String line);
    }

    /** What came of a probe. */
    static final class Outcome {
        /** Events as lines of JSON. */
        final String report;
        /** What ended it early; null where nothing did. */
        final String problem;

        Outcome(String report, String problem) {
            this.report = report;
            this.problem = problem;
        }
    }

    private final ProbedModel.Opener opener;
    private final Platform platform;
    private final ProbeOptions options;

    Prober(ProbedModel.Opener opener, Platform platform, ProbeOptions options) {
        this.opener = opener;
        this.platform = platform;
        this.options = options;
    }

    /** Measures on this thread. */
    Outcome measure(Limit limit, final Lines lines) {
        final StringBuilder report = new StringBuilder();
        final String[] problem = {null};
        try {
            new Probe(opener, platform, options, limit)
                    .run(
                            new EventSink() {
                                @Override
                                public void take(Event event) {
                                    report.append(event.json()).append('\n');
                                    if (event.section().equals("error")) {
                                        problem[0] = (String) event.get("message");
                                    }
                                    String line = Summary.line(event);
                                    if (line != null) {
                                        lines.line(line);
                                    }
                                }
                            });
        } catch (IOException impossible) {
            throw new AssertionError(impossible); // nothing here writes to a file
        }
        return new Outcome(report.toString(), problem[0]);
    }
}
