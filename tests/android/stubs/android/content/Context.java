package android.content;

import android.content.res.AssetManager;
import android.content.res.Resources;
import android.os.Looper;
import java.io.File;

/** Signatures, with the texts that a fake of its resources has. */
public abstract class Context {
    public static final String POWER_SERVICE = "power";

    public abstract AssetManager getAssets();

    public abstract Context getApplicationContext();

    public Resources getResources() {
        return new Resources();
    }

    public Object getSystemService(String name) {
        throw new UnsupportedOperationException(name);
    }

    public final String getString(int id) {
        return getResources().getString(id);
    }

    public abstract Looper getMainLooper();

    public abstract File getFilesDir();

    public abstract File getNoBackupFilesDir();

    public abstract File getCacheDir();

    public abstract File getExternalFilesDir(String type);

    public abstract String getPackageName();
}
