package android.widget;

import android.content.Context;
import android.view.View;

/** A working fake. */
public class TextView extends View {
    private final StringBuilder shown = new StringBuilder();
    private int appended;

    public TextView(Context context) {
        super(context);
    }

    public CharSequence getText() {
        return shown.toString();
    }

    public final void setText(CharSequence text) {
        shown.setLength(0);
        shown.append(text);
    }

    public final void setText(int text) {
        setText(Integer.toHexString(text));
    }

    public final void append(CharSequence text) {
        shown.append(text);
        appended++;
    }

    /** How often something was appended, for tests. */
    public int appended() {
        return appended;
    }
}
