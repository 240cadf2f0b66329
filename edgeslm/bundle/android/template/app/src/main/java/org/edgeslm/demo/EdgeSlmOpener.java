package org.edgeslm.demo;

import android.content.Context;
import org.edgeslm.EdgeSlm;
import org.edgeslm.EdgeSlmException;
import org.edgeslm.Probing;
import org.edgeslm.probe.ProbedModel;

/** Opens one of this app's models, for the screen and for a probe. */
final class EdgeSlmOpener implements Engine.Opener {
    private final Context context;
    private final String model;

    /** {@code context}: the application's. {@code model}: null for the default one. */
    EdgeSlmOpener(Context context, String model) {
        this.context = context;
        this.model = model;
    }

    @Override
    public Engine open() throws EdgeSlmException {
        return new EdgeSlmEngine(model == null ? EdgeSlm.open(context) : EdgeSlm.open(context, model));
    }

    /** The same model as a probe opens it. */
    ProbedModel.Opener probed() {
        return Probing.opener(context, model);
    }
}
