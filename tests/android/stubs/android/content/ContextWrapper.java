package android.content;

import android.content.res.AssetManager;
import android.os.Looper;
import android.os.PowerManager;
import java.io.File;

/** A working fake: one folder holds all files and assets. */
public class ContextWrapper extends Context {
    /** Where the app's files lie, for tests. */
    public static File folder;

    public ContextWrapper(Context base) {}

    @Override
    public AssetManager getAssets() {
        return new AssetManager(folder);
    }

    @Override
    public Context getApplicationContext() {
        return this;
    }

    @Override
    public Object getSystemService(String name) {
        return new PowerManager();
    }

    @Override
    public Looper getMainLooper() {
        return Looper.getMainLooper();
    }

    @Override
    public File getFilesDir() {
        return folder;
    }

    @Override
    public File getNoBackupFilesDir() {
        return folder;
    }

    @Override
    public File getCacheDir() {
        return folder;
    }

    @Override
    public File getExternalFilesDir(String type) {
        return folder;
    }

    @Override
    public String getPackageName() {
        return "org.edgeslm.demo";
    }
}
