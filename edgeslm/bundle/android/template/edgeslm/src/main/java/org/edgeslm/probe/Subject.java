package org.edgeslm.probe;

import java.io.IOException;
import java.util.List;
import org.edgeslm.EdgeSlmException;

/** What is measured of one kind of model. */
interface Subject {
    /** The length of the report's headline, or near it. */
    int wanted();

    /** In tokens, those that the headline's can be. */
    List<Integer> lengths();

    /** The first run after the model was opened. */
    void first(Integer reference) throws EdgeSlmException;

    /** The sections between {@code load} and {@code memory}. */
    void measure(EventSink sink) throws EdgeSlmException, IOException, ProbeEndedException;

    /** Sections about the device that its figures are set against. */
    void measureDevice(EventSink sink) throws IOException;
}
