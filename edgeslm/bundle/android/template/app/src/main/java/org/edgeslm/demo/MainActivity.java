package org.edgeslm.demo;

import android.app.Activity;
import android.content.Context;
import android.content.Intent;
import android.os.Bundle;
import android.view.View;
import android.view.WindowManager;
import android.widget.Button;
import android.widget.EditText;
import android.widget.TextView;
import java.util.concurrent.Executors;
import org.edgeslm.probe.AndroidPlatform;
import org.edgeslm.probe.ProbeOptions;

/** The one screen: a prompt, its answer as it comes, and how fast it came; and a probe of this phone. */
public final class MainActivity extends Activity implements Session.Screen {
    private Session session;
    private EditText prompt;
    private Button run;
    private Button cancel;
    private Button probe;
    private Button share;
    private TextView status;
    private TextView answer;
    private String report;

    @Override
    protected void onCreate(Bundle saved) {
        super.onCreate(saved);
        setContentView(R.layout.main);
        prompt = (EditText) findViewById(R.id.prompt);
        run = (Button) findViewById(R.id.run);
        cancel = (Button) findViewById(R.id.cancel);
        probe = (Button) findViewById(R.id.probe);
        share = (Button) findViewById(R.id.share);
        status = (TextView) findViewById(R.id.status);
        answer = (TextView) findViewById(R.id.answer);
        listen();
        // The session goes from the screen that rotation ends to the one that it begins; no static field holds either.
        Object left = getLastNonConfigurationInstance();
        session = left instanceof Session ? (Session) left : begin(getApplicationContext());
    }

    @Override
    protected void onStart() {
        super.onStart();
        session.attach(this);
    }

    @Override
    protected void onStop() {
        session.detach();
        super.onStop();
    }

    @Override
    public Object onRetainNonConfigurationInstance() {
        return session;
    }

    @Override
    protected void onDestroy() {
        if (!isChangingConfigurations()) {
            session.close();
        }
        super.onDestroy();
    }

    @Override
    public void show(State state) {
        boolean busy = state.phase == State.Phase.ANSWERING || state.phase == State.Phase.PROBING;
        boolean ready = state.phase == State.Phase.READY;
        run.setEnabled(ready);
        probe.setEnabled(ready);
        cancel.setEnabled(busy);
        report = state.report;
        share.setEnabled(report != null && !busy);
        status.setText(Words.of(state, getResources()));
        showText(state.text);
        if (state.phase == State.Phase.PROBING) {
            getWindow().addFlags(WindowManager.LayoutParams.FLAG_KEEP_SCREEN_ON);
        } else {
            getWindow().clearFlags(WindowManager.LayoutParams.FLAG_KEEP_SCREEN_ON);
        }
    }

    /** Adds what is new: to lay out a whole answer again for every token would cost more than the token. */
    private void showText(String text) {
        String shown = answer.getText().toString();
        if (shown.isEmpty() || !text.startsWith(shown)) {
            answer.setText(text);
        } else if (text.length() > shown.length()) {
            answer.append(text.substring(shown.length()));
        }
    }

    private static Session begin(Context context) {
        EdgeSlmOpener opener = new EdgeSlmOpener(context, null);
        Prober prober = new Prober(opener.probed(), new AndroidPlatform(context), new ProbeOptions());
        return new Session(opener, prober, new MainThread(), Executors.newSingleThreadExecutor());
    }

    private void listen() {
        run.setOnClickListener(
                new View.OnClickListener() {
                    @Override
                    public void onClick(View view) {
                        session.run(prompt.getText().toString());
                    }
                });
        cancel.setOnClickListener(
                new View.OnClickListener() {
                    @Override
                    public void onClick(View view) {
                        session.cancel();
                    }
                });
        probe.setOnClickListener(
                new View.OnClickListener() {
                    @Override
                    public void onClick(View view) {
                        session.probe(new ProbeOptions().timeLimit);
                    }
                });
        share.setOnClickListener(
                new View.OnClickListener() {
                    @Override
                    public void onClick(View view) {
                        share();
                    }
                });
    }

    private void share() {
        Intent send = new Intent(Intent.ACTION_SEND);
        send.setType("text/plain");
        send.putExtra(Intent.EXTRA_SUBJECT, getString(R.string.report_title));
        send.putExtra(Intent.EXTRA_TEXT, report);
        startActivity(Intent.createChooser(send, getString(R.string.report_title)));
    }
}
