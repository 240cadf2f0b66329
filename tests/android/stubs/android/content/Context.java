package android.content;

import android.content.res.AssetManager;
import android.os.Looper;
import java.io.File;

/** Signatures alone. */
public abstract class Context {
    public abstract AssetManager getAssets();

    public abstract Context getApplicationContext();

    public abstract Looper getMainLooper();

    public abstract File getFilesDir();

    public abstract File getNoBackupFilesDir();

    public abstract File getCacheDir();

    public abstract File getExternalFilesDir(String type);

    public abstract String getPackageName();
}
