package org.edgeslm;

import android.content.res.AssetManager;
import java.io.File;
import java.io.IOException;
import java.util.HashMap;
import java.util.Map;
import org.edgeslm.probe.Computer;
import org.edgeslm.probe.Event;
import org.edgeslm.probe.EventSink;
import org.edgeslm.probe.Limit;
import org.edgeslm.probe.Probe;
import org.edgeslm.probe.ProbeEndedException;
import org.edgeslm.probe.ProbeOptions;
import org.edgeslm.probe.ProbedModel;

/** The whole probe over LiteRT on the JVM. Arguments: assets, a folder for what a phone keeps, model, then name=value. */
public final class JvmProbe {
    private JvmProbe() {}

    public static void main(String[] arguments) throws IOException, ProbeEndedException {
        Map<String, String> asked = new HashMap<>();
        for (int place = 3; place < arguments.length; place++) {
            String[] parts = arguments[place].split("=", 2);
            asked.put(parts[0], parts[1]);
        }
        ProbeOptions options = ProbeOptions.parse(asked);
        File kept = new File(arguments[1]);
        Assets assets = new AndroidAssets(new AssetManager(new File(arguments[0])));
        ProbedModel.Opener opener = Probing.opener(assets, arguments[2], new File(kept, "kept"), new File(kept, "cache"));
        new Probe(opener, new Computer(), options, new Limit(options.timeLimit))
                .run(
                        new EventSink() {
                            @Override
                            public void take(Event event) {
                                System.out.println(event.json());
                            }
                        });
    }
}
