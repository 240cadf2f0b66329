package android.app;

import android.content.Context;
import android.content.Intent;
import android.view.View;
import android.view.Window;
import android.widget.Button;
import android.widget.EditText;
import android.widget.TextView;
import java.util.HashMap;
import java.util.Map;

/** What the system does with an activity, for tests. */
public final class Lifecycle {
    /** What a layout has: id -> "Button", "EditText" or "TextView". */
    public static final Map<Integer, String> VIEWS = new HashMap<>();

    private Lifecycle() {}

    /** From nothing to the screen; {@code last}: what the activity before it left, or null. */
    public static <T extends Activity> T begin(T activity, Object last) {
        activity.last = last;
        activity.onCreate(null);
        activity.onStart();
        return activity;
    }

    /** From nothing to the screen by an intent. */
    public static <T extends Activity> T begin(T activity, Intent intent) {
        activity.intent = intent;
        return begin(activity, (Object) null);
    }

    /** Off the screen by rotation. Returns what it leaves for the next one. */
    public static Object rotate(Activity activity) {
        activity.changing = true;
        activity.onStop();
        Object left = activity.onRetainNonConfigurationInstance();
        activity.onDestroy();
        return left;
    }

    /** Off the screen for good. */
    public static void end(Activity activity) {
        activity.onStop();
        activity.onDestroy();
    }

    /** What it started last; null where nothing. */
    public static Intent started(Activity activity) {
        return activity.started[0];
    }

    /** Flags of its window. */
    public static int flags(Activity activity) {
        Window window = activity.getWindow();
        return window.flags;
    }

    static View view(Context context, int id) {
        switch (VIEWS.get(id)) {
            case "Button":
                return new Button(context);
            case "EditText":
                return new EditText(context);
            default:
                return new TextView(context);
        }
    }
}
