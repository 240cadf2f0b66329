package android.widget;

import android.content.Context;

/** Signatures alone. */
public class EditText extends TextView {
    public EditText(Context context) {
        super(context);
    }
}
