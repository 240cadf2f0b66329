package org.edgeslm.demo;

import android.app.Activity;
import android.content.Intent;
import android.os.Bundle;
import android.os.Process;
import android.util.Log;
import android.view.WindowManager;
import android.widget.TextView;
import java.io.File;
import java.io.IOException;
import java.util.HashMap;
import java.util.Map;
import org.edgeslm.probe.AndroidPlatform;

/**
 * The probe without a hand on the phone: {@code am start -n org.edgeslm.demo/.ProbeActivity --es probe ID} measures and
 * writes {@code probe-ID.jsonl} into the app's external files, a JSON object a line, the last one {@code end} or
 * {@code error}. Further extras, all strings: model, runs, threads, lengths, time_limit.
 *
 * <p>It is on the screen while it measures, because Android slows down what is not.
 */
public final class ProbeActivity extends Activity {
    private static final String TAG = "edgeslm";
    private static final String[] EXTRAS = {"runs", "threads", "lengths", "time_limit"};

    private HeadlessProbe running;

    @Override
    protected void onCreate(Bundle saved) {
        super.onCreate(saved);
        getWindow().addFlags(WindowManager.LayoutParams.FLAG_KEEP_SCREEN_ON);
        TextView words = new TextView(this);
        words.setText(R.string.probing);
        setContentView(words);
        begin(getIntent());
    }

    @Override
    protected void onNewIntent(Intent intent) {
        super.onNewIntent(intent);
        begin(intent);
    }

    @Override
    protected void onDestroy() {
        if (running != null) {
            running.cancel();
        }
        super.onDestroy();
    }

    private void begin(Intent intent) {
        String id = intent.getStringExtra("probe");
        Map<String, String> asked = new HashMap<String, String>();
        for (String name : EXTRAS) {
            if (intent.getStringExtra(name) != null) {
                asked.put(name, intent.getStringExtra(name));
            }
        }
        File folder = getExternalFilesDir(null);
        try {
            File file = HeadlessProbe.file(folder, id);
            if (running != null) {
                HeadlessProbe.refuse(file, "a probe is running on this phone already", "wait until it has ended");
                return;
            }
            EdgeSlmOpener opener = new EdgeSlmOpener(getApplicationContext(), intent.getStringExtra("model"));
            running = new HeadlessProbe(file, opener.probed(), new AndroidPlatform(this), asked, new Ending());
            running.start();
        } catch (IOException error) {
            Log.e(TAG, "no probe: " + error.getMessage());
            if (running == null) {
                finish();
            }
        }
    }

    /** What comes after a probe, on whatever thread it ended. */
    private final class Ending implements HeadlessProbe.Ending {
        @Override
        public void ended() {
            runOnUiThread(
                    new Runnable() {
                        @Override
                        public void run() {
                            running = null;
                            finish();
                        }
                    });
        }

        @Override
        public void hangs() {
            Process.killProcess(Process.myPid());
        }
    }
}
