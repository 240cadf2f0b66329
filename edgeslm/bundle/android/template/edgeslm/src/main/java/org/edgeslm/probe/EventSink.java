package org.edgeslm.probe;

import java.io.IOException;

/** Takes a probe's events, one after another, on the thread that measures. */
public interface EventSink {
    /** Takes the next event. A failure ends the probe. */
    void take(Event event) throws IOException;
}
