package android.widget;

import android.content.Context;

/** Signatures alone. */
public class Button extends TextView {
    public Button(Context context) {
        super(context);
    }
}
