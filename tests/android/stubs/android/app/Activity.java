package android.app;

import android.content.ContextWrapper;
import android.content.Intent;
import android.os.Bundle;
import android.view.View;
import android.view.Window;
import java.util.HashMap;
import java.util.Map;

/** A working fake: {@link Lifecycle} makes it live, and every id has a view. */
public class Activity extends ContextWrapper {
    Object last;
    boolean changing;
    Intent intent;
    private volatile boolean finished;
    final Intent[] started = {null};
    private final Map<Integer, View> views = new HashMap<>();
    private final Window window = new Window();

    public Activity() {
        super(null);
    }

    protected void onCreate(Bundle saved) {}

    protected void onStart() {}

    protected void onStop() {}

    protected void onDestroy() {}

    protected void onNewIntent(Intent intent) {}

    public Object getLastNonConfigurationInstance() {
        return last;
    }

    public Object onRetainNonConfigurationInstance() {
        return null;
    }

    public boolean isChangingConfigurations() {
        return changing;
    }

    public void setContentView(int layout) {}

    public void setContentView(View view) {}

    @SuppressWarnings("unchecked")
    public <T extends View> T findViewById(int id) {
        if (!views.containsKey(id)) {
            views.put(id, Lifecycle.view(this, id));
        }
        return (T) views.get(id);
    }

    public Intent getIntent() {
        return intent;
    }

    public Window getWindow() {
        return window;
    }

    public void startActivity(Intent intent) {
        started[0] = intent;
    }

    public void finish() {
        finished = true;
    }

    public boolean isFinishing() {
        return finished;
    }

    public final void runOnUiThread(Runnable action) {
        action.run();
    }
}
